"""What sluice-bench could get wrong without anybody seeing it: arithmetic, promises, who took part, what a file of scenarios says.

    python3 -m unittest discover -s tests/bench
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import types
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "bench"))

from harness import beyond, measure, peers, results, runner, scenarios, table  # noqa: E402
from harness.peers import base  # noqa: E402

GIB = 2**30
MEMORY = 8 * GIB


def rounds(*seconds, size=1000, **more):
    return [results.new_round(seconds=one, bytes=size, requests=1, cpu_server=one / 2, cpu_client=one, cpu_machine=2 * one, **more)
            for one in seconds]


def contender(name, *found, server="nginx", client="curl", skipped=None):
    return {"name": name, "version": "1.0", "server": server, "client": client, "path": None, "digests": False, "streams": None,
            "told": None, "skipped": skipped, "failed": False, "rounds": list(found), "syscalls": None}


def ours(*found, name="sluice", **more):
    return contender(name, *found, server="sluice", client="sluice", **more)


def scene(*contenders, name="get", unit="bytes", targets=(), **more):
    what = {"direction": "get", "size": 1000, "files": 1, "requests": 1, "connections": 1, "to": "file", "suite": "S", "disk": False, "guest": None}
    return {"id": name, "title": "t", "unit": unit, "what": what, "series": None, "x": None, "targets": list(targets),
            "contenders": list(contenders), **more}


class Arithmetic(unittest.TestCase):
    def test_a_ratio_is_taken_round_by_round_and_not_of_medians(self):
        found = results.ratio("bytes", rounds(1, 2, 10), rounds(2, 2, 40))
        self.assertEqual((found["median"], found["lowest"], found["highest"]), (2, 1, 4))

    def test_of_memory_less_is_a_smaller_ratio(self):
        mine = [results.new_round(seconds=1, peak_server_kib=70)]
        other = [results.new_round(seconds=1, peak_server_kib=100)]
        self.assertAlmostEqual(results.ratio("memory", mine, other)["median"], 0.7)

    def test_where_one_did_not_run_there_is_no_ratio(self):
        self.assertIsNone(results.ratio("bytes", rounds(1), []))

    def test_the_summary_is_medians_with_the_lowest_and_highest_rate(self):
        median, spread = results.summary("bytes", rounds(1, 2, 4))
        self.assertEqual((median["rate"], spread["lowest"], spread["highest"]), (500, 250, 1000))
        self.assertAlmostEqual(median["cpu_server_per_gb"], 1e6)
        self.assertAlmostEqual(median["cpu_machine_per_gb"], 4e6)

    def test_what_nobody_knows_stays_unknown(self):
        median, _ = results.summary("bytes", [results.new_round(seconds=1, bytes=1)])
        self.assertIsNone(median["cpu_server_per_gb"])
        self.assertIsNone(median["switches_per_gb"])
        self.assertIsNone(median["fairness"])

    def test_a_round_takes_no_fact_that_it_does_not_know(self):
        with self.assertRaises(TypeError):
            results.new_round(speed=3)


class Promises(unittest.TestCase):
    def concluded(self, *everything):
        results.conclude(everything)
        return everything[0]

    def test_at_least_is_kept_and_missed_by_the_median(self):
        for theirs, met in ((2.2, True), (2.1, False)):
            promise = {"of": "sluice", "against": "scp", "at_least": 2.2}
            one = self.concluded(scene(ours(*rounds(1, 1)), contender("scp", *rounds(theirs, theirs)), targets=[promise]))
            self.assertIs(one["targets"][0]["met"], met)
            self.assertIs(one["ratios"][0]["met"], met)

    def test_at_most_is_the_other_way_round(self):
        for kib, met in ((69, True), (71, False)):
            promise = {"of": "sluice", "against": "nginx", "at_most": 0.7}
            mine, other = ([results.new_round(seconds=1, peak_server_kib=k)] for k in (kib, 100))
            one = self.concluded(scene(ours(*mine), contender("nginx", *other), unit="memory", targets=[promise]))
            self.assertIs(one["targets"][0]["met"], met)

    def test_who_was_left_out_leaves_a_promise_open(self):
        promise = {"of": "sluice", "against": "scp", "at_least": 3}
        one = self.concluded(scene(ours(*rounds(1)), contender("scp", skipped="not installed"), targets=[promise]))
        self.assertIsNone(one["targets"][0]["met"])
        self.assertEqual(one["ratios"], [])
        self.assertIn("left out: scp: not installed", table.scenario(one))

    def test_who_does_not_take_part_leaves_a_promise_open(self):
        promises = [{"of": "sluice", "against": "scp", "at_least": 3}, {"of": "sluice", "fair_within": 0.2}]
        one = self.concluded(scene(contender("scp", *rounds(1)), targets=promises))
        self.assertEqual([promise["met"] for promise in one["targets"]], [None, None])
        self.assertIn("not measured", table.scenario(one))

    def test_a_promise_can_be_about_another_value_of_the_section(self):
        promise = {"of": "sluice", "against": "sluice@4", "at_least": 0.9}
        one = self.concluded(scene(ours(*rounds(2)), name="c/64", targets=[promise]), scene(ours(*rounds(1)), name="c/4"))
        self.assertIs(one["targets"][0]["met"], False)
        self.assertEqual(one["ratios"][0]["median"], 0.5)

    def test_fairness_is_held_against_its_limit(self):
        for off, met in ((0.2, True), (0.21, False)):
            one = self.concluded(scene(ours(*rounds(1, fairness=off)), targets=[{"of": "sluice", "fair_within": 0.2}]))
            self.assertIs(one["targets"][0]["met"], met)

    def test_the_page_cache_is_held_against_what_should_be_left_of_it(self):
        for kept, met, said in ((0.95, True, "0.95"), (0.25, False, "0.25"), (None, None, "?")):
            one = self.concluded(scene(ours(*rounds(1, cache_kept=kept)), targets=[{"of": "sluice", "keeps_cache": 0.9}]))
            self.assertIs(one["targets"][0]["met"], met)
            self.assertIn(f"page cache {said} was still there; at least 0.9", table.scenario(one))

    def test_only_ours_is_compared_to_others(self):
        one = self.concluded(scene(ours(*rounds(1)), contender("scp", *rounds(1)), contender("rsync", *rounds(1))))
        self.assertEqual({ratio["of"] for ratio in one["ratios"]}, {"sluice"})

    def test_results_survive_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "r.json"
            results.write({"format": results.FORMAT, "scenarios": []}, path)
            self.assertEqual(results.read(path)["scenarios"], [])
            for text, said in (("{", "no JSON"), ('{"format": 9}', "no result"), ("[]", "no result")):
                path.write_text(text)
                with self.assertRaisesRegex(results.Unusable, said):
                    results.read(path)
            with self.assertRaisesRegex(results.Unusable, "No such file"):
                results.read(path.with_name("none"))


class Scenarios(unittest.TestCase):
    def read(self, text, in_guest=True):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "s.ini"
            path.write_text(text)
            return scenarios.read(path, MEMORY, in_guest)

    BASE = "[get]\ntitle = t\ndirection = get\ncontenders = sluice, scp\n"

    def mistake(self, text, said):
        with self.assertRaisesRegex(scenarios.Mistake, said):
            self.read(text)

    def test_sizes_are_read_and_written_alike(self):
        for text, number in (("4K", 4096), ("1.5G", 3 * GIB // 2), ("123", 123), ("0.5 memory", 4 * GIB)):
            self.assertEqual(scenarios.size(text, MEMORY), number)
        for number in (1, 123, 4096, 5000, 2**20, 3 * GIB // 2, 4 * GIB):
            self.assertEqual(scenarios.size(scenarios.size_word(number), MEMORY), number)
        for text in ("", "4X", "-1", "0", "K", "much memory"):
            with self.assertRaises(ValueError):
                scenarios.size(text, MEMORY)

    def test_the_scenarios_of_this_repository_are_right_and_all_contenders_known(self):
        everything = scenarios.read(ROOT / "bench/scenarios.ini", MEMORY)
        for one in everything:
            for name in one.contenders:
                peers.pair(name)
        self.assertEqual(len({one.id for one in everything}), len(everything))

    def test_a_mistake_names_file_section_and_key(self):
        self.mistake(self.BASE + "size = 4X\n", r's\.ini: \[get\] size: "4X" is no size')
        self.mistake(self.BASE + "speed = 4\n", r"\[get\] speed: there is no such key")
        self.mistake(self.BASE.replace("direction = get", "direction = up"), r'\[get\] direction: "up" is none of')
        self.mistake("[get]\ntitle = t\ndirection = get\n", r"\[get\] has no contenders")
        self.mistake(self.BASE + "at_least = rsync 3\n", r'\[get\] at_least: "rsync" is none of the contenders')
        self.mistake(self.BASE + "at_least = scp\n", r'\[get\] at_least: "scp" is no promise')
        self.mistake(self.BASE + "of = rsync\n", r'\[get\] of: "rsync" is none')
        self.mistake(self.BASE + "at_least = scp@4 1\n", r'"4" is none of the values')
        self.mistake(self.BASE + "vary = size\n", "goes together with values")
        self.mistake(self.BASE + "vary = size\nvalues = 4K 3X\n", r'\[get\] values: "3X"')
        self.mistake(self.BASE + "size = 1\nsize = 2\n", "s.ini.*already exists")
        self.mistake(self.BASE + "contenders\n", "s.ini")
        self.mistake("", "names no scenario")
        with self.assertRaisesRegex(scenarios.Mistake, "cannot be read: No such file"):
            scenarios.read("/nowhere/s.ini", MEMORY)

    def test_one_scenario_for_each_value(self):
        found = self.read(self.BASE + "vary = size\nvalues = 4K 1M\n")
        self.assertEqual([(one.id, one.size, one.x, one.series) for one in found],
                         [("get/4K", 4096, 4096, "get"), ("get/1M", 2**20, 2**20, "get")])

    def test_a_volume_bounds_how_many_large_ones_are_asked_for(self):
        found = self.read(self.BASE + "requests = 100\nvolume = 1M\nvary = size\nvalues = 4K 64K 4M\n")
        self.assertEqual([one.requests for one in found], [100, 16, 1])

    def test_what_is_made_smaller_is_not_done_twice(self):
        found = self.read(self.BASE + "vary = size\nvalues = 4K 1M 1G\n")
        self.assertEqual([(one.id, one.size) for one in scenarios.smaller(found, most_bytes=2**19)],
                         [("get/4K", 4096), ("get/1M", 2**19)])

    def test_memory_is_that_of_the_guest_where_it_happens_there(self):
        text = self.BASE + "size = 0.5 memory\nguest = 192M\n"
        self.assertEqual(self.read(text)[0].size, 96 * 2**20)
        self.assertEqual(self.read(text, in_guest=False)[0].size, 4 * GIB)
        self.mistake(text.replace("192M", "much"), r's\.ini: \[get\] guest: "much" is no size')

    def test_scenarios_are_chosen_by_section_or_by_id(self):
        found = self.read(self.BASE + "vary = size\nvalues = 4K 1M\n")
        self.assertEqual(len(scenarios.chosen(found, ["get"])), 2)
        self.assertEqual([one.id for one in scenarios.chosen(found, ["get/1M"])], ["get/1M"])
        with self.assertRaisesRegex(scenarios.Mistake, 'no scenario "gte"; there are get'):
            scenarios.chosen(found, ["gte"])


class Peers(unittest.TestCase):
    def test_a_name_is_a_server_and_a_client(self):
        self.assertEqual(peers.pair("nginx+curl"), ("nginx", "curl", {}))
        self.assertEqual(peers.pair("scp"), ("sshd", "scp", {}))
        self.assertEqual(peers.pair("sluice:digests:streams=4"), ("sluice", "sluice", {"digests": True, "streams": "4"}))

    def test_a_name_that_stands_for_nobody_is_told(self):
        for name, said in (("ngnix+curl", '"ngnix".*no server'), ("nginx+crul", '"crul".*no client'), ("ftp", '"ftp" is no contender'),
                           ("sluice:fast", '"fast" in'), ("sluice:streams=x", "streams"), ("nginx:path=user+curl", "only sluice")):
            with self.assertRaisesRegex(peers.Unknown, said):
                peers.pair(name)

    def test_who_is_not_installed_is_left_out_with_the_reason(self):
        with self.assertRaisesRegex(base.Skip, "no-such-program is not installed"):
            base.program("no-such-program")

    def test_who_delivers_other_bytes_or_fails_takes_no_part(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for said, command in (("other bytes", "printf wrong >got"), ("ended with 3: no luck", "echo no luck >&2; exit 3")):
                found = self.scene_of(folder / said.replace(" ", "_").replace(":", ""), command)
                entry = found["contenders"][0]
                self.assertRegex(entry["skipped"], said)
                self.assertTrue(entry["failed"])
                self.assertEqual(entry["rounds"], [])

    def test_every_round_of_who_does_it_right_is_there(self):
        with tempfile.TemporaryDirectory() as name:
            found = self.scene_of(pathlib.Path(name) / "s", "cp ../source/file got")
            self.assertEqual([one["bytes"] for one in found["contenders"][0]["rounds"]], [5000, 5000])
            self.assertFalse(found["contenders"][0]["skipped"])

    def scene_of(self, folder, shell):
        """The scenario `get` with one contender: a server that does nothing, and a client that is a line of shell."""
        folder.mkdir()
        one = scenarios.Scenario(section="get", id="get", title="t", direction="get", contenders=("x",), size=5000)
        given = types.SimpleNamespace(binary="/none", rounds=2, contenders=None)

        class Server(base.Server):
            name, version = "none", lambda self: "0"
            start = roots = stop = lambda self: []

        class Client(base.Client):
            name, version = "shell", lambda self: "0"

            def get(self):
                return [["sh", "-c", shell]]

        old = peers.pair, peers.contender
        peers.pair = lambda name: ("nginx", "curl", {})
        peers.contender = lambda name, scenario, place: base.Contender(name, scenario, place, {}, Server, Client)
        try:
            return runner.run_section([one], folder, given, folder)[0]
        finally:
            peers.pair, peers.contender = old


class Beyond(unittest.TestCase):
    """What happens in the guest, by a command that stands for it."""

    def run_instead(self, shell):
        one = scenarios.Scenario(section="b", id="b", title="t", direction="get", contenders=("sluice", "nginx+curl"), guest=2**27)
        given = types.SimpleNamespace(binary=pathlib.Path("/none"), contenders=["sluice"])
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(beyond, "_command", lambda _scenarios, _arguments, out: ["sh", "-c", shell, "sh", out]):
            return runner.run_in_guest([one], pathlib.Path(folder), given)[0]

    def test_where_there_is_no_guest_everyone_is_left_out_and_nobody_failed(self):
        found = self.run_instead("echo no machine; exit 125")
        self.assertEqual([(one["name"], one["failed"]) for one in found["contenders"]], [("sluice", False)])
        self.assertIn("ended with 125: no machine", found["contenders"][0]["skipped"])

    def test_what_was_found_there_says_on_what(self):
        there = {"format": results.FORMAT, "machine": {"memory_bytes": 5, "kernel": "6.1", "cpus": 2}, "scenarios": [scene(ours())]}
        found = self.run_instead(f"echo '{json.dumps(there)}' >$1")
        self.assertEqual(found["what"]["guest"], {"memory_bytes": 5, "kernel": "6.1"})

    def test_the_guest_is_asked_for_what_we_were(self):
        one = scenarios.Scenario(section="b", id="b", title="t", direction="get", contenders=("sluice",), guest=2**27)
        given = types.SimpleNamespace(binary=ROOT / "x", scenarios=ROOT / "s.ini", rounds=3, size=None, count=None,
                                      contenders=["sluice"])
        command = " ".join(beyond._command([one], given, pathlib.Path("/o/r.json")))
        for words in ("-m 128M", "-d 640M", "--rounds 3", "--contenders sluice", "--disk /disk", "--json /o/r.json", "sluice-bench b "):
            self.assertIn(words, command)


class Measuring(unittest.TestCase):
    def run_client(self, folder, shell, server=()):
        return measure.run_client([["sh", "-c", shell]], pathlib.Path(folder) / "log", 60, server)

    def test_what_a_clients_children_use_is_the_clients(self):
        with tempfile.TemporaryDirectory() as folder:
            burn = "import time; e = time.process_time() + 0.3\nwhile time.process_time() < e: pass"
            found = self.run_client(folder, f"'{sys.executable}' -c '{burn}'; true")
            self.assertGreaterEqual(found["cpu_client"], 0.29)
            self.assertGreaterEqual(found["seconds"], 0.29)
            self.assertGreater(found["peak_client_kib"], 1000)

    def test_what_a_servers_children_used_is_the_servers_once_they_were_waited_for(self):
        burn = "import time; e = time.process_time() + 0.3\nwhile time.process_time() < e: pass"
        server = subprocess.Popen(["sh", "-c", f"read line; '{sys.executable}' -c '{burn}'; echo done; read line"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            before = measure.seconds_of([server.pid])
            server.stdin.write("go\n")
            server.stdin.flush()
            self.assertEqual(server.stdout.readline(), "done\n")
            self.assertGreaterEqual(measure.seconds_of([server.pid]) - before, 0.25)
        finally:
            server.communicate("end\n", timeout=20)

    def test_a_second_sigterm_does_not_stop_what_the_first_one_ends(self):
        program = ("import sys\nfrom harness import common\ncommon.in_order_on_sigterm()\n"
                   "try:\n print('begun', flush=True)\n sys.stdin.readline()\n"
                   "finally:\n print('ending', flush=True)\n sys.stdin.readline()\n print('ended', flush=True)\n")
        process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT / "bench", text=True, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        try:
            for expected in ("begun\n", "ending\n"):
                self.assertEqual(process.stdout.readline(), expected)
                process.terminate()
            self.assertEqual(process.communicate("go on\n", timeout=20)[0], "ended\n")
            self.assertEqual(process.returncode, 143)
        finally:
            process.kill()
            process.wait()

    def test_a_client_that_does_not_end_is_ended(self):
        with tempfile.TemporaryDirectory() as folder, self.assertRaisesRegex(measure.Failed, "ended with -9"):
            began = time.monotonic()
            measure.run_client([["sleep", "600"]], pathlib.Path(folder) / "log", 0.3)
            self.assertLess(time.monotonic() - began, 300)

    def test_a_client_does_not_outlive_a_run_that_is_interrupted(self):
        seen = []

        def interrupted(pid, _options):
            seen.append(pid)
            raise KeyboardInterrupt

        with tempfile.TemporaryDirectory() as folder, mock.patch.object(measure.os, "wait4", interrupted):
            with self.assertRaises(KeyboardInterrupt):
                measure.run_client([["sleep", "600"]], pathlib.Path(folder) / "log", 600)
        with self.assertRaises(ProcessLookupError):
            os.kill(seen[0], 0)


if __name__ == "__main__":
    unittest.main()
