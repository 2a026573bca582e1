"""The report: what it says of each promise, that it stands alone, and that nothing foreign in it acts.

results.json beside this is a run in which names, versions and reasons try to break out of the page, and the instruction counts
that bench/instructions once took.
"""
import html.parser
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURE = pathlib.Path(__file__).with_name("results.json")
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "bench"))

from harness import costs, page, plots, promises, report, results  # noqa: E402

VOID = {"meta", "br", "hr"}
KNOWN = {"html", "head", "meta", "title", "style", "body", "main", "section", "nav", "footer", "figure", "figcaption", "div",
         "span", "p", "a", "h1", "h2", "h3", "ul", "li", "b", "strong", "code", "table", "caption", "thead", "tbody", "tr", "th",
         "td", "svg", "g", "path", "rect", "circle", "use", "text", "tspan", "desc", "defs", "polygon"}
needs_gnuplot = unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")


class Reader(html.parser.HTMLParser):
    """Fails on whatever the page should not be made of; collects its text, identifiers and links."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.tags, self.text = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self._look(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self._look(tag, attributes)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    def _look(self, tag, attributes):
        assert tag in KNOWN, f"<{tag}> has no place in the page"
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        for name, value in attributes:
            assert not name.startswith("on"), f"<{tag} {name}>"
            if name in ("href", "src", "xlink:href"):
                assert value.startswith("#"), f"<{tag} {name}={value}> leads out of the page"
                self.links.append(value[1:])
            if name == "id":
                self.ids.append(value)
        self.tags.append(tag)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def fixture():
    return results.read(FIXTURE)


def without_gnuplot():
    return mock.patch.object(shutil, "which", lambda name: None)


@needs_gnuplot
class WithPictures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = report.render(fixture())
        cls.page = Reader(cls.text)

    def test_nothing_foreign_in_it_acts(self):
        for tried in ("<script>alert(1)", "<img src=x", "<script>alert(3)", "<svg onload=alert(5)>"):
            self.assertTrue(tried in self.page.words, f"{tried} is not shown")
            self.assertFalse(tried in self.text, f"{tried} is in the page as it came")
        for character in ("\x1b", "\x07", "\u202e", "\ufeff", "\x00"):
            self.assertFalse(character in self.text, f"{character!r} is in the page")
        self.assertTrue("\\u001b[2J" in self.page.words)
        self.assertTrue("default-src &#x27;none&#x27;" in self.text)

    def test_it_stands_alone(self):
        self.assertEqual(len(self.page.ids), len(set(self.page.ids)), "an identifier is there twice")
        self.assertLessEqual(set(self.page.links), set(self.page.ids))
        self.assertFalse("url(" in self.text or "@import" in self.text)

    def test_every_picture_has_a_title_and_a_description_and_tables_stand_beside(self):
        pictures = [section.count("<figure>") for section in self.text.split("<section")]
        tables = [section.count("<table>") for section in self.text.split("<section")]
        self.assertGreaterEqual(sum(pictures), 9)
        for picture, beside in zip(pictures, tables):
            self.assertTrue(beside or not picture, "a section has pictures and no table")
        for picture in self.text.split("<figure>")[1:]:
            svg = picture.partition("</figure>")[0]
            self.assertTrue('role="img"' in svg)
            self.assertTrue(re.search(r"<title id=[^>]*>[^<]+</title><desc id=[^>]*>[^<]+</desc>", svg))
            self.assertFalse("rgb(" in svg, "a colour is not the page's")


class Page(unittest.TestCase):
    def setUp(self):
        self.found = fixture()

    def read(self, *arguments):
        return Reader(report.render(self.found, *arguments))

    def test_without_gnuplot_there_are_tables_and_the_package_is_named(self):
        with without_gnuplot(), tempfile.TemporaryDirectory() as folder:
            lacking = report.write(self.found, f"{folder}/report.html")
            read = Reader(pathlib.Path(folder, "report.html").read_text())
            self.assertEqual(os.listdir(folder), ["report.html"])
        self.assertIn("gnuplot-nox", lacking)
        self.assertIn("gnuplot-nox", read.words)
        self.assertNotIn("figure", read.tags)
        self.assertGreater(read.tags.count("table"), 20)

    def test_a_run_of_nothing_is_a_page_too(self):
        self.found.update(scenarios=[], instructions=None)
        with without_gnuplot():
            read = self.read()
        self.assertIn("0 scenarios ran", read.words)
        self.assertIn("Neither processor seconds of a transfer nor counts of instructions", read.words)

    def test_facts_that_are_not_known_are_dashes(self):
        for scenario in self.found["scenarios"]:
            for one in scenario["contenders"]:
                one["syscalls"] = None
                if one["median"]:
                    one["median"] = {name: value if name == "rate" else None for name, value in one["median"].items()}
        with without_gnuplot():
            self.assertIn("–", self.read().words)

    def test_a_run_that_did_less_than_the_targets_are_about_says_so(self):
        counted, self.found["instructions"] = self.found["instructions"], None
        with without_gnuplot():
            self.assertFalse("smaller run" in self.read().words)
            self.found["arguments"].update(size=64 * 2**20, count=200)
            words = self.read().words
            self.found["instructions"] = counted
            counts = self.read().words
        self.assertTrue("no file was larger than 64 MiB (--size); there were no more than 200 files" in words)
        self.assertFalse("less of each" in words)
        self.assertTrue("instructions were counted of less of each" in counts)

    def test_one_round_is_not_called_rounds(self):
        with without_gnuplot():
            self.assertTrue("1 scenario ran, each in 1 round in which" in self.in_one_round())

    def in_one_round(self):
        get = json.loads(json.dumps(self.found["scenarios"][0]))
        for one in get["contenders"]:
            one["rounds"] = one["rounds"][:1]
        return Reader(report.render({**self.found, "scenarios": [get]})).words

    def test_says_who_was_left_out_and_why(self):
        with without_gnuplot():
            words = self.read().words
        self.assertIn("nginx-ktls+h2load : this kernel has no kTLS", words)
        self.assertIn("without kTLS", words)

    def test_tells_memory_for_each_connection_and_what_the_page_cache_kept(self):
        idle = next(one for one in self.found["scenarios"] if one["id"] == "idle")
        idle["contenders"][0]["median"]["rate"] = 40000
        get = self.found["scenarios"][0]
        get["contenders"][0]["median"].update(cache_kept=0.25, cache_moved=0.5)
        with without_gnuplot():
            words = self.read().words
        self.assertTrue("sluice+crowd 39.1 4.00" in words)
        self.assertTrue("still there of the file itself sluice" in words and " 25% 50% " in words)

    def test_tells_how_often_a_body_is_copied(self):
        self.found["copies"] = [{"direction": "get", "contender": "sluice<b>", "bytes": 2**24, "copied": 12345, "each": 0.00074}]
        with without_gnuplot():
            self.assertTrue("GET, sluice<b> 16 MiB 12,345 0.0007" in self.read().words)
            self.found["instructions"] = None
            self.assertTrue("GET, sluice<b> 16 MiB 12,345 0.0007" in self.read().words)

    def test_shows_the_cost_model_with_its_assumptions(self):
        with without_gnuplot():
            words = self.read().words
        for word in ("400 GbE", "sending, kTLS, the card encrypts", "receiving into a file, kTLS", "AES-128-GCM in the guest",
                     "TLS 1.2 with AES-GCM only", "requests of 4096 bytes", "memory channel"):
            self.assertTrue(word in words, word)


class Promises(unittest.TestCase):
    def setUp(self):
        self.found = fixture()
        self.counted = costs.Counted(self.found["instructions"]["results"])

    def verdict(self, of, against, verdicts=None):
        these = verdicts or promises.verdicts(self.found, self.counted)
        return next(one for one in these if (one.of, one.against) == (of, against))

    def ratio(self, of, against):
        return next(one for one in self.found["scenarios"][0]["ratios"] if (one["of"], one["against"]) == (of, against))

    def test_one_that_was_missed_says_by_how_much(self):
        ratio = self.ratio("sluice", "nginx+curl")
        ratio.update(median=1.1, lowest=1.0, highest=1.2)
        missed = self.verdict("sluice", "nginx+curl")
        self.assertIs(missed.met, False)
        self.assertAlmostEqual(missed.missed_by, 0.5)  # 1.1 of 2.2
        with without_gnuplot():
            self.assertIn("promised was at least 2.20×, so it falls short by 50.0%", Reader(report.render(self.found)).words)

    def test_a_bound_from_above_is_missed_by_what_is_over_it(self):
        ratio = next(one for scenario in self.found["scenarios"] for one in scenario["ratios"] if one.get("at_most"))
        ratio["median"] = 0.84
        missed = self.verdict(ratio["of"], ratio["against"])
        self.assertIs(missed.met, False)
        self.assertAlmostEqual(missed.missed_by, 0.2)  # 0.84 of 0.7

    def test_the_bound_itself_is_kept(self):
        ratio = self.ratio("sluice", "nginx+curl")
        ratio["median"] = 2.2
        self.assertIs(self.verdict("sluice", "nginx+curl").met, True)

    def test_against_who_did_not_run_it_is_not_measured_and_the_reason_is_theirs(self):
        left = self.verdict("sluice", "rsync")
        self.assertIsNone(left.met)
        self.assertIn("alert(1)", left.why)

    def test_a_scenario_that_did_not_run_is_told(self):
        absent = {"id": "tree", "title": "many files", "targets": [{"of": "sluice", "against": "tar", "at_least": 3.0}]}
        told = self.verdict("sluice", "tar", promises.verdicts(self.found, self.counted, [absent]))
        self.assertIsNone(told.met)
        self.assertEqual((told.title, told.why), ("many files", "it was not part of this run"))

    def test_fairness_is_held_against_its_part(self):
        fair = self.verdict("sluice+crowd", "an equal share for each connection")
        self.assertIs(fair.met, True)
        for scenario in self.found["scenarios"]:
            for one in scenario["contenders"]:
                if one["median"] and one["median"]["fairness"]:
                    one["median"]["fairness"] = 0.21
        self.assertIs(self.verdict("sluice+crowd", "an equal share for each connection").met, False)

    def test_a_page_cache_that_was_not_left_alone_is_told_with_what_was_left(self):
        get = self.found["scenarios"][0]
        get["targets"] = [{"of": "sluice", "keeps_cache": 0.9}]
        left_alone = "a page cache that is left alone"
        self.assertIn("fincore", self.verdict("sluice", left_alone).why)
        get["contenders"][0]["median"]["cache_kept"] = 0.45
        self.assertAlmostEqual(self.verdict("sluice", left_alone).missed_by, 0.5)
        with without_gnuplot():
            self.assertIn("promised was at least 90%, so it falls short by 50.0%", Reader(report.render(self.found)).words)
        get["contenders"][0]["median"]["cache_kept"] = 0.9
        self.assertIs(self.verdict("sluice", left_alone).met, True)

    def test_instructions_that_were_not_counted_are_not_measured(self):
        nothing = promises.verdicts({**self.found, "scenarios": []}, costs.Counted(None))
        self.assertEqual({one.met for one in nothing}, {None})
        counted = costs.Counted(None)
        self.assertEqual(len(nothing), len(counted.goals) + 2 * len(counted.crowd_goals) - 1)

    def test_connections_of_the_guest_are_held_against_four_and_an_equal_share(self):
        rows = [{"scenario": f"crowd-{count}", "contender": "sluice", "unit": "second", "connections": count, "rate": rate,
                 "unfair": unfair, "each": None, "work": 1} for count, rate, unfair in ((4, 100e6, 0.0), (64, 80e6, 0.3))]
        counted = costs.Counted(rows)
        found = {(one.title, one.kind): one for one in promises.verdicts({"scenarios": []}, counted)}
        four, many = ("guest: 4 connections that fetch at once, the kernel encrypts",
                      "guest: 64 connections that fetch at once, the kernel encrypts")
        self.assertNotIn((four, "at_least"), found)
        self.assertIs(found[four, "fair_within"].met, True)
        self.assertAlmostEqual(found[many, "at_least"].found["median"], 0.8)
        self.assertEqual([found[many, kind].met for kind in ("at_least", "fair_within")], [False, False])
        self.found["instructions"] = {"results": rows}
        with without_gnuplot():
            self.assertIn("64 sluice 80.0 0.80× 30.0%", Reader(report.render(self.found)).words)

    def test_counts_that_make_no_sense_are_left_out(self):
        rows = [{"scenario": "get-kernel", "contender": name, "unit": "byte", "each": each, "instructions": 1, "work": 1}
                for name, each in (("sluice", 3.0), ("floor", 0), ("nginx-ktls", None))]
        self.assertEqual(costs.Counted(rows).ratios, [])


class Pictures(unittest.TestCase):
    def test_no_label_reaches_gnuplot(self):
        with tempfile.TemporaryDirectory() as folder:
            fake = pathlib.Path(folder, "gnuplot")
            fake.write_text(f"#!/bin/sh\ncat >{folder}/script\nexit 3\n")
            fake.chmod(0o755)
            with mock.patch.dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}"), self.assertRaises(plots.NoPlot) as caught:
                plots.bars("a", "t", "d", [("`touch x`'", [(1.0, 0)])], "system('id')")
            script = pathlib.Path(folder, "script").read_text()
        self.assertIn("gnuplot ended with 3", str(caught.exception))
        self.assertNotIn("touch", script)
        self.assertNotIn("system", script)

    def test_a_gnuplot_that_hangs_is_left(self):
        with tempfile.TemporaryDirectory() as folder:
            fake = pathlib.Path(folder, "gnuplot")
            fake.write_text("#!/bin/sh\nexec sleep 60\n")
            fake.chmod(0o755)
            with mock.patch.dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}"), mock.patch.object(plots, "LIMIT", 0.2):
                with self.assertRaisesRegex(plots.NoPlot, "did not end"):
                    plots.bars("a", "t", "d", [("x", [(1.0, 0)])], "y")

    @needs_gnuplot
    def test_labels_come_out_escaped_and_long_ones_cut(self):
        svg = plots.ranges("p", "a <title>", "d", [("@1@<b>&", 1.5, 1.0, 2.0, None, None), ("x" * 100, 1, 1, 1, 2.0, False)], "y")
        self.assertIn("@1@&lt;b&gt;&amp;", svg)
        self.assertIn("x" * (plots.LONGEST - 1) + "…", svg)
        self.assertIn("a &lt;title&gt;", svg)

    def test_ticks_are_round_and_few(self):
        self.assertEqual(plots._ticks(2.2), [0, 0.5, 1, 1.5, 2])
        self.assertEqual(plots._ticks(132340), [0, 50000, 100000])
        self.assertEqual(plots._ticks(1), [0, 0.2, 0.4, 3 * 0.2, 0.8, 1])

    @needs_gnuplot
    def test_one_value_alone_is_a_picture_too(self):
        for svg in (plots.lines("p", "t", "d", [(0, [(4, 1.0, 1.0, 1.0)])], "x", "y"),
                    plots.lines("p", "t", "d", [(0, [(4, 0.0, 0.0, 0.0)])], "x", "y"),
                    plots.bars("p", "t", "d", [("nothing", [(0.0, 0)])], "y"),
                    plots.ranges("p", "t", "d", [("same", 1.0, 1.0, 1.0, None, None)], "y")):
            self.assertTrue(svg.endswith("</svg>"))


class Words(unittest.TestCase):
    def test_numbers_have_three_digits_and_no_exponent(self):
        self.assertEqual([page.number(value) for value in (0, 1.234, 0.001234, 123456, None, float("nan"), float("inf"), True)],
                         ["0", "1.23", "0.00123", "123,456", "–", "–", "–", "–"])

    def test_sizes_are_as_people_write_them(self):
        self.assertEqual([page.size(value) for value in (100, 4096, 2**30, 1.5 * 2**30, 1000 * 2**20, None)],
                         ["100 B", "4 KiB", "1 GiB", "1.5 GiB", "1000 MiB", "–"])

    def test_an_attribute_cannot_be_left(self):
        self.assertEqual(page.tag("a", "x", href='"><b>'), '<a href="&quot;&gt;&lt;b&gt;">x</a>')

    def test_html_is_not_escaped_twice(self):
        self.assertEqual(page.tag("p", page.tag("b", "1 < 2")), "<p><b>1 &lt; 2</b></p>")


class Program(unittest.TestCase):
    def run_it(self, *arguments):
        return subprocess.run([sys.executable, ROOT / "bench/report", *map(str, arguments)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)

    def test_makes_a_file_of_results_and_of_counts(self):
        with tempfile.TemporaryDirectory() as folder:
            counts = pathlib.Path(folder, "counts.json")
            counts.write_text(json.dumps(fixture()["instructions"]))
            done = self.run_it(FIXTURE, "-o", f"{folder}/out.html", "--instructions", counts)
            self.assertEqual((done.returncode, done.stdout), (0, f"{folder}/out.html\n"), done.stderr)
            Reader(pathlib.Path(folder, "out.html").read_text())

    def test_says_what_it_cannot_read(self):
        with tempfile.TemporaryDirectory() as folder:
            other = pathlib.Path(folder, "other.json")
            other.write_text("[]")
            for arguments in ((f"{folder}/none.json",), (other,), (FIXTURE, "--instructions", other),
                              (FIXTURE, "--copies", FIXTURE), (FIXTURE, "-o", f"{folder}/none/out.html")):
                done = self.run_it(*arguments)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, r"\Areport: .*\n\Z")


if __name__ == "__main__":
    unittest.main()
