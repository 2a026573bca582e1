"""The comparison with the recorded instructions: what fails, what passes, and what an update of Debian's changes."""
import copy
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

from harness import baseline, instructions  # noqa: E402

HERE = {"kernel": "6.1", "openssl": "3.0", "nginx": "1.22", "compiler": "GNU 12"}


def counted(change=None, factor=1.0):
    """A run in which Sluice and the references cost 2 and 1; `change`, a (scenario, contender), or all of one contender's."""
    results = []
    for scenario, ours, where, reference in baseline.PAIRS:
        for name, contender, each in ((scenario, ours, 2.0), (where, reference, 1.0)):
            if change in ((name, contender), contender):
                each *= factor
            results.append({"scenario": name, "contender": contender, "each": each})
    return results


def verdicts(results, recorded=None, where=HERE):
    recorded = baseline.record([], HERE, counted()) if recorded is None else recorded
    return {scenario: (outcome, text) for scenario, outcome, text in baseline.compare(results, recorded, where)}


class Compare(unittest.TestCase):
    def test_passes_what_costs_what_it_did(self):
        self.assertEqual({outcome for outcome, _ in verdicts(counted()).values()}, {"passed"})

    def test_fails_only_the_scenario_that_grew_by_more_than_three_percent(self):
        for scenario, ours, _, _ in baseline.PAIRS:
            found = verdicts(counted((scenario, ours), 1.031))
            self.assertEqual([name for name, (outcome, _) in found.items() if outcome == "failed"], [scenario])
            self.assertIn("grown by 3.1%", found[scenario][1])
            self.assertIn("--record", found[scenario][1])

    def test_allows_less_than_three_percent(self):
        self.assertEqual({outcome for outcome, _ in verdicts(counted("sluice", 1.029)).values()}, {"passed"})

    def test_asks_to_record_what_was_won(self):
        outcome, text = verdicts(counted(("get-small", "sluice"), 0.5))["get-small"]
        self.assertEqual(outcome, "passed")
        self.assertIn("better by 50.0%", text)

    def test_does_not_mind_an_update_that_moves_all(self):
        results = [{**one, "each": one["each"] * 1.1} for one in counted()]
        self.assertEqual({outcome for outcome, _ in verdicts(results).values()}, {"passed"})

    def test_skips_a_setting_that_nobody_recorded(self):
        found = verdicts(counted(), where={**HERE, "kernel": "6.12"})
        self.assertEqual({outcome for outcome, _ in found.values()}, {"skipped"})
        self.assertIn("kernel 6.12", found["get-kernel"][1])

    def test_fails_where_something_was_not_counted_or_not_recorded(self):
        results = [one for one in counted() if one["scenario"] != "get-small"]
        self.assertEqual(verdicts(results)["get-small"][0], "failed")
        recorded = baseline.record([], HERE, counted())
        del recorded[0]["scenarios"]["put-kernel"]
        self.assertEqual(verdicts(counted(), recorded)["put-kernel"][0], "failed")


class Record(unittest.TestCase):
    def test_keeps_other_settings_and_what_was_not_measured(self):
        first = baseline.record([], {**HERE, "kernel": "6.12"}, counted())
        both = baseline.record(copy.deepcopy(first), HERE, counted())
        part = [one for one in counted("sluice", 0.5) if one["scenario"] == "put-kernel"]
        again = baseline.record(both, HERE, part)
        self.assertEqual(baseline.entry(again, {**HERE, "kernel": "6.12"}), first[0])
        self.assertEqual(baseline.entry(again, HERE)["scenarios"]["put-kernel"]["ratio"], 1.0)
        self.assertEqual(baseline.entry(again, HERE)["scenarios"]["get-small"]["ratio"], 2.0)

    def test_reads_what_it_wrote(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "baseline.json"
            self.assertEqual(baseline.load(file), [])
            baseline.write(baseline.record([], HERE, counted()), file)
            self.assertEqual(baseline.load(file), baseline.record([], HERE, counted()))

    def test_what_is_compared_is_counted(self):
        scenarios = {one["id"]: one["contenders"] for one in instructions.compared()}
        for scenario, ours, where, reference in baseline.PAIRS:
            self.assertIn(ours, scenarios[scenario])
            self.assertIn(reference, scenarios[where])


class Setting(unittest.TestCase):
    def test_is_made_of_first_numbers(self):
        with tempfile.TemporaryDirectory() as folder:
            cmake = pathlib.Path(folder) / "CMakeFiles/3.25.1"
            cmake.mkdir(parents=True)
            (cmake / "CMakeCCompiler.cmake").write_text(
                'set(CMAKE_C_COMPILER_ID "GNU")\nset(CMAKE_C_COMPILER_VERSION "12.2.0")\n')
            found = baseline.setting(pathlib.Path(folder) / "sluice", "6.1.0-56-amd64")
        self.assertEqual((found["kernel"], found["compiler"]), ("6.1", "GNU 12"))
        self.assertRegex(found["openssl"], r"^\d+\.\d+$")


if __name__ == "__main__":
    unittest.main()
