"""How every test ended, over all the builds and machines that ran it.

A test is counted once: it failed if it failed anywhere, it was skipped if it ran nowhere. So a test that must see the
kernel's TLS is skipped on a host without it and still passes, by its run in the guest.
"""

import json


class Outcomes:
    def __init__(self):
        self._runs = {}  # test -> [(build, outcome, text)]

    def add(self, test, build, outcome, text=""):
        self._runs.setdefault(test, []).append((build, outcome, text))

    def read(self, file):
        """Adds what was written as one JSON object a line. Returns how many."""
        count = 0
        if file.exists():
            for line in file.read_text().splitlines():
                record = json.loads(line)
                self.add(record["test"], record["build"], record["outcome"], record["text"])
                count += 1
        return count

    def _verdict(self, test):
        outcomes = {outcome for _, outcome, _ in self._runs[test]}
        return "failed" if "failed" in outcomes else "passed" if "passed" in outcomes else "skipped"

    def _those(self, verdict):
        return [test for test in self._runs if self._verdict(test) == verdict]

    def failures(self):
        for test in self._those("failed"):
            for build, outcome, text in self._runs[test]:
                if outcome == "failed":
                    yield test, build, text

    def skips(self):
        for test in self._those("skipped"):
            yield test, "; ".join(sorted({text for _, _, text in self._runs[test] if text}))

    def counts(self):
        return {verdict: len(self._those(verdict)) for verdict in ("passed", "failed", "skipped")}

    def closing_line(self):
        counts = self.counts()
        tail = f", {counts['skipped']} skipped" if counts["skipped"] else ""
        return f"{counts['passed']} passed, {counts['failed']} failed{tail}"
