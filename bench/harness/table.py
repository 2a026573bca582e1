"""Results as text: tables in Markdown, which can be read in a terminal and stand in a README."""
from harness.results import ALONE
from harness.scenarios import size_word

SIDE = {"bytes": ("GB/s", 1e-9, 2), "requests": ("requests/s", 1, 0), "memory": ("server, MiB", 1 / 1024, 1)}

SAID = {"fair_within": "the share farthest from the mean is off by {}; within {}",
        "keeps_cache": "of another file in the page cache {} was still there; at least {}"}


def _number(value, digits, scale=1.0):
    return "" if value is None else f"{value * scale:.{digits}f}"


def _spread(found, digits):
    return f"{found['median']:.{digits}f} ({found['lowest']:.{digits}f}-{found['highest']:.{digits}f})"


def _calls(contender):
    counted = contender["syscalls"]
    if not counted or not counted["bytes"]:
        return ""
    return f"{(counted['server'] + (counted['client'] or 0)) / counted['bytes'] * 1e9:.0f}"


def _of_ours(one, contender):
    """The ratio of the first of ours to this one, and what was promised."""
    ours = next((c["name"] for c in one["contenders"] if "sluice" in (c["server"], c["client"])), None)
    targets = [t["of"] for t in one["targets"]]
    ours = targets[0] if targets else ours
    for ratio in one["ratios"]:
        if ratio["of"] == ours and ratio["against"] == contender["name"]:
            wanted = ""
            for key, word in (("at_least", "at least"), ("at_most", "at most")):
                if ratio[key] is not None:
                    wanted = f"{word} {ratio[key]:g}: {'yes' if ratio['met'] else 'NO'}"
            return _spread(ratio, 2), wanted
    return "", ""


def _told(one, contender):
    """Which path was taken and why, where that is a question: with files on a disk."""
    told = contender["told"] if one["what"]["disk"] and contender["server"] == "sluice" else None
    return f"{told['path']}: {told['why']}" if told else ""


def _row(one, contender):
    unit, scale, digits = SIDE[one["unit"]]
    median = contender["median"]
    ratio, wanted = _of_ours(one, contender)
    if median["rate"] * scale < 0.1 and digits:
        digits += 2
    return [contender["name"], f"{_number(median['rate'], digits, scale)} ({_number(contender['spread']['lowest'], digits, scale)}"
            f"-{_number(contender['spread']['highest'], digits, scale)})",
            _number(median["cpu_server_per_gb"], 2), _number(median["cpu_client_per_gb"], 2),
            _number(median["cpu_machine_per_gb"], 2), _number(median["switches_per_gb"], 0), _calls(contender),
            _number(median["peak_server_kib"], 0, 1 / 1024), _number(median["peak_client_kib"], 0, 1 / 1024),
            _number(median["cache_kept"], 2), _number(median["cache_moved"], 2), _told(one, contender), ratio, wanted]


def describe(what):
    words = [what["direction"], size_word(what["size"])]
    if what["files"] > 1:
        words.append(f"{what['files']} files")
    if what["requests"] > 1:
        words.append(f"{what['requests']} requests")
    if what["connections"] > 1:
        words.append(f"{what['connections']} connections")
    words += [f"to {what['to']}", what["suite"]]
    if what["guest"]:
        words.append(f"guest with {what['guest']['memory_bytes'] / 2**20:.0f} MiB of memory, Linux {what['guest']['kernel']}")
    return ", ".join(words)


def _others(one):
    """Promises about another scenario of the section, and about nobody else: they have no row of their own."""
    for target in one["targets"]:
        kept = {True: "yes", False: "NO", None: "not measured"}[target["met"]]
        alone = next((key for key in ALONE if key in target), None)
        if alone:
            median = next((c["median"] for c in one["contenders"] if c["name"] == target["of"]), None)
            value = median and median[ALONE[alone][0]]
            yield f"{target['of']}: {SAID[alone].format('?' if value is None else f'{value:.2f}', f'{target[alone]:g}')}: {kept}"
        elif "@" in target["against"]:
            ratio = next((r for r in one["ratios"] if r["against"] == target["against"]), None)
            if ratio:
                yield f"{target['of']} to {target['against']}: {_spread(ratio, 2)}; at least {target['at_least']:g}: {kept}"


def scenario(one):
    unit = SIDE[one["unit"]][0]
    head = ["contender", f"{unit} (lowest-highest)", "CPU s/GB server", "client", "machine", "switches/GB", "syscalls/GB",
            "MiB server", "client", "cache kept", "file in cache", "path", "ours to it", "wanted"]
    rows = [_row(one, contender) for contender in one["contenders"] if contender["rounds"]]
    keep = [n for n, _ in enumerate(head) if n == 0 or any(row[n] for row in rows)]
    lines = [f"{one['id']}: {one['title']} ({describe(one['what'])})"]
    if rows:
        lines += ["", "| " + " | ".join(head[n] for n in keep) + " |", "|" + "---|" * len(keep)]
        lines += ["| " + " | ".join(row[n] for n in keep) + " |" for row in rows]
    lines += [""] + list(_others(one))
    lines += [f"{'FAILED' if c['failed'] else 'left out'}: {c['name']}: {c['skipped']}" for c in one["contenders"] if c["skipped"]]
    return "\n".join(lines) + "\n"


def text(results):
    machine = results["machine"]
    head = (f"{machine['cpus']} CPUs ({machine['model']}), Linux {machine['kernel']} {'with' if machine['ktls'] else 'without'} "
            f"kTLS, {machine['openssl']}, {machine['memory_bytes'] / 2**30:.0f} GiB, {machine['date']}\n\n")
    return head + "\n".join(scenario(one) for one in results["scenarios"])
