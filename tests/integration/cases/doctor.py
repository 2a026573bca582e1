"""sluice doctor says what this machine can do; its exit status says whether the kernel path works."""

import json
import subprocess
from pathlib import Path

from harness import check, equal, test, tls_counters
from harness.peers import need
from harness.sluice import environment

SUITES = ("AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305", "AES-128-CCM")


def _doctor(t, *arguments):
    return subprocess.run([t.run.binary, "doctor", *arguments], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, env=environment())


def _examine(t, code):
    done = _doctor(t, "--json")
    equal(done.returncode, code, "exit status")
    report = json.loads(done.stdout)
    equal(report["kernel_path"], code == 0, "kernel_path")
    check(report["summary"], "there is no summary")
    for finding in report["findings"]:
        check(finding["what"] and finding["value"] and finding["meaning"], f"a finding says too little: {finding}")
        check(finding["status"] == "ok" or finding["status"] == "note" or finding["remedy"],
              f"a finding names no remedy: {finding}")
    return {finding["what"]: finding for finding in report["findings"]}


@test("guest")
def everything_is_there_in_debians_kernel(t):
    found = _examine(t, 0)
    for suite in SUITES:
        equal(found[f"kTLS {suite}"]["value"], "TLS 1.2 tx rx, TLS 1.3 tx rx", suite)
    check("aesni" in found["AES-GCM driver"]["value"], f"not aesni: {found['AES-GCM driver']}")
    equal(found["kTLS (tls ULP)"]["status"], "ok", "the ULP")
    equal(found["io_uring"]["status"], "ok", "io_uring")
    check("kTLS rekey" in found and "OpenSSL" in found and "limit: open files" in found, f"missing: {list(found)}")


@test("host", "guest")
def the_text_says_the_same_as_the_exit_status(t):
    # Asking loads the module where there is one, so the counters are looked at afterwards.
    done = _doctor(t)
    equal(done.returncode, 0 if tls_counters() else 1, "exit status")
    text = done.stdout
    check("kernel" in text and "OpenSSL" in text and "io_uring" in text, text)
    check(("FAIL" in text) == (done.returncode == 1), text)
    _examine(t, done.returncode)


@test("host")
def wrong_arguments_are_refused(t):
    equal(_doctor(t, "--nonsense").returncode, 2, "exit status")


@test("host", "guest")
def what_paces_the_packets_is_told_of_each_interface(t):
    told = subprocess.run([need("tc"), "qdisc", "show"], capture_output=True, text=True).stdout
    roots = {line.split()[4]: line.split()[1] for line in told.splitlines() if len(line.split()) > 5 and line.split()[5] == "root"}
    found = _examine(t, _doctor(t).returncode)
    equal(found["pacing"]["value"], "works", "SO_MAX_PACING_RATE")
    for interface, kind in roots.items():
        if interface != "lo":
            equal(found[f"pacing on {interface}"]["value"].split()[0], kind, f"the qdisc of {interface}")
            check("fq" in found[f"pacing on {interface}"]["meaning"], f"{found[f'pacing on {interface}']}")


@test("host", "guest")
def the_settings_that_would_hold_a_fast_link_back_are_told_with_the_command_that_mends_each(t):
    found = _examine(t, _doctor(t).returncode)
    for name in ("tcp_wmem", "tcp_rmem"):
        least, default, most = map(int, Path("/proc/sys/net/ipv4", name).read_text().split())
        told = found[name]
        equal(told["value"].split()[0], str(most), f"the largest {name}")
        equal(told["status"] == "ok", most >= 25_000_000, f"whether {most} is enough")
        equal(told["remedy"], "" if most >= 25_000_000 else f'sysctl net.ipv4.{name}="{least} {default} 33554432"', "the remedy")
    current = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    equal(found["congestion control"]["value"].split()[0], current, "congestion control")
    for interface in Path("/sys/class/net").iterdir():
        if (interface / "device").exists() and (interface / "operstate").read_text().strip() != "down" \
                and not (interface / "phy80211").exists() and (interface / "type").read_text().strip() == "1":
            equal(found[f"MTU of {interface.name}"]["value"], f"{(interface / 'mtu').read_text().strip()} bytes", interface.name)
