"""One HTML file of what sluice-bench found: figures, pictures, and first of all which promises were kept.

It needs no network and no script, and everything in it that came from outside is escaped (page.py). Without gnuplot it has the
tables and says what is missing. Results are as results.py describes them; counts of instructions as bench/instructions
writes them, under "instructions".
"""
import datetime
import json
import os
import pathlib

from harness import costs, plots
from harness import results as results_of
from harness.page import Html, escape, join, known, number, paragraph, size, table, tag, times, whole
from harness.promises import contenders, title_of, verdicts

STYLE = pathlib.Path(__file__).with_name("report.css")
SCENARIOS = pathlib.Path(__file__).parent.with_name("scenarios.ini")
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
WORDS = {"get": "GET", "put": "PUT", "get-tree": "many files, fetched", "put-tree": "many files, sent", "requests": "requests",
         "connections": "connections at once", "idle": "idle connections", "beyond": "larger than memory"}
UNITS = {"bytes": ("GB/s", 1e9), "requests": ("requests/s", 1), "memory": ("MiB", 1024)}
VARIED = (("size", "Throughput by size", "size of the file"), ("connections", "Scaling by connections", "connections at once"),
          ("cores", "Scaling by cores", "cores of the server"))


def _ran(scenario):
    return [one for one in scenario["contenders"] if one["rounds"] and one.get("median")]


# The first page


def _count(numbers, one, many):
    return f"{numbers} {one if numbers == 1 else many}"


def _machine(machine):
    memory = size(machine.get("memory_bytes"))
    return paragraph(
        "Measured on ", _day(machine.get("date")), " on ", tag("strong", f"{machine.get('cpus')} × {machine.get('model')}"),
        f" with {memory} of memory, Linux {machine.get('kernel')} ",
        "with kTLS" if machine.get("ktls") else tag("strong", "without kTLS"), f", {machine.get('openssl')}.",
        "" if machine.get("ktls") else " On this kernel OpenSSL encrypts at both ends: the kernel path is not in the figures of "
                                       "the host, only in those of the guest.")


def _day(date):
    try:
        return datetime.datetime.fromisoformat(str(date)).strftime("%-d %B %Y, %H:%M")
    except ValueError:
        return escape(date)


def _method(results):
    rounds = [len(one["rounds"]) for scenario in results["scenarios"] for one in _ran(scenario)]
    ran = sum(bool(_ran(scenario)) for scenario in results["scenarios"])
    least, most = (min(rounds), max(rounds)) if rounds else (0, 0)
    checked = sum(bool(scenario["what"].get("verified")) for scenario in results["scenarios"])
    return paragraph(
        f"{_count(ran, 'scenario', 'scenarios')} ran, each in ", str(least) if least == most else f"{least} to {most}",
        " rounds in which all contenders took turns, so that what else the machine did met all of them alike. A figure is the "
        "median of the rounds, the bracket behind it the lowest and the highest; a ratio is taken round by round. In ",
        "all of them" if checked == len(results["scenarios"]) else _count(checked, "scenario", "scenarios"),
        " the bytes that arrived were compared before anything was timed.")


def _ratio_words(verdict):
    if verdict.kind == "fair_within":
        return f"{verdict.found['median']:.0%}"
    return times(verdict.found["median"])


def _spread(found):
    if known(found.get("lowest")) is None or found["lowest"] == found["highest"]:
        return ""
    return f" ({found['lowest']:.2f}–{found['highest']:.2f})"


def _promise(verdict, least="≥ ", most="≤ "):
    if verdict.kind == "fair_within":
        return f"within {verdict.promised:.0%}"
    return (least if verdict.kind == "at_least" else most) + times(verdict.promised)


def _badge(verdict):
    if verdict.met is None:
        return tag("span", "– not measured", class_="badge none")
    return tag("span", "✓ met" if verdict.met else "✗ missed", class_="badge good" if verdict.met else "badge bad")


def _outcome(verdict):
    if verdict.met is None:
        return join([_badge(verdict), tag("span", f" {verdict.why}", class_="why")])
    return join([_badge(verdict), "" if verdict.met else f" by {verdict.missed_by:.1%}"])


def _summary(found):
    groups = {met: [one for one in found if one.met is met] for met in (True, False, None)}
    tiles = tag("ul", *(tag("li", tag("b", len(groups[met])), tag("span", text), class_=f"tile {kind}") for met, text, kind in
                        ((True, "targets met", "good"), (False, "missed", "bad"), (None, "not measured", "none"))),
                class_="tiles")
    missed = [tag("li", f"{one.title}: ", tag("strong", f"{_ratio_words(one)}{_spread(one.found)}"),
                  f" for {one.of} against {one.against}; promised was {_promise(one, 'at least ', 'at most ')}, ",
                  ("so it falls short by " if one.kind == "at_least" else "so it is above by "), f"{one.missed_by:.1%}.")
              for one in groups[False]]
    parts = [tiles]
    if missed:
        parts += [tag("h3", "Where it falls short"), tag("ul", *missed)]
    rows = [(one.title, f"{one.of} / {one.against}", _promise(one),
             "–" if one.met is None else _ratio_words(one) + _spread(one.found), _outcome(one)) for one in found]
    if rows:
        parts.append(table("Every target, and what became of it",
                           ("what", "ours / against", "promised", "found", "outcome"), rows, (2, 3)))
    return join(parts)


# Pictures with their tables


class Book:
    """What all sections need: names for pictures, colours for contenders, and whether pictures can be had."""

    def __init__(self):
        self._colours = {"sluice": 0}
        self._pictures = 0
        self.missing = None     # why pictures are missing

    def colour(self, name):
        """The same for one server in every picture, whoever its client is."""
        return self._colours.setdefault(name.partition("+")[0], len(self._colours))

    def picture(self, kind, title, description, *arguments, legend=(), swatches=False, **options):
        self._pictures += 1
        try:
            svg = kind(f"plot{self._pictures}", title, description, *arguments, **options)
        except plots.NoPlot as problem:
            self.missing = self.missing or str(problem)
            return Html("")
        return tag("figure", tag("figcaption", title), plots.legend(legend, swatches) if legend else "", svg)


def _rate(unit, value):
    name, scale = UNITS[unit]
    return "–" if known(value) is None else f"{number(value / scale)} {name}"


def _against_peers(results):
    """(scenario, ratio) of ours as it is, and with digests, to everyone who is not ours. What varies has pictures of its own."""
    for scenario in results["scenarios"]:
        there = contenders(scenario)
        plain = scenario["contenders"][0]["name"] if scenario["contenders"] else None
        for one in scenario["ratios"]:
            of, against = there.get(one["of"]), there.get(one["against"])
            if scenario["series"] or known(one["median"]) is None or not of or not against or against["server"] == "sluice":
                continue
            if one["of"] == plain or of.get("digests"):
                yield scenario, one


def _ratios(results, counted, book):
    more, less, rows = [], [], []
    for scenario, one in _against_peers(results):
        digests = contenders(scenario)[one["of"]].get("digests")
        promised = known(one.get("at_least")) or known(one.get("at_most"))
        low, high = (one[key] if known(one[key]) is not None else one["median"] for key in ("lowest", "highest"))
        (less if scenario["unit"] == "memory" else more).append(
            (f"{scenario['id']}{', digests' if digests else ''}: {one['against']}", one["median"], low, high, promised, one["met"]))
        rows.append((scenario["title"], f"{one['of']} / {one['against']}", times(one["median"]), _spread(one).strip(" ()") or "–",
                     ("≥ " if one.get("at_least") else "≤ ") + times(promised) if promised else "–"))
    less += [(f"instructions, {one['scenario']}: {one['against']}", one["ratio"], one["ratio"], one["ratio"], one["goal"],
              one["ratio"] <= one["goal"]) for one in counted.ratios]
    rows += [(counted.titles.get(one["scenario"], one["scenario"]), f"{one['contender']} / {one['against']}, instructions",
              times(one["ratio"]), "–", "≤ " + times(one["goal"])) for one in counted.ratios]
    if not rows:
        return Html("")
    parts = [paragraph("A point is the median of the rounds, its line the lowest to the highest, the upright bar what was "
                       "promised. A red square missed its promise; an open circle has none.")]
    if more:
        parts.append(book.picture(plots.ranges, "Our rate divided by the other's: right of 1 is faster",
                                  "; ".join(f"{row[0]} {row[1]:.2f}" for row in more), more, "times the other's rate"))
    if less:
        parts.append(book.picture(plots.ranges, "Our memory, or our instructions, divided by the other's: left of 1 is less",
                                  "; ".join(f"{row[0]} {row[1]:.2f}" for row in less), less, "times the other's cost"))
    parts.append(table("Ratios round by round", ("what", "ours / against", "median", "lowest–highest", "promised"), rows,
                       (2, 3, 4)))
    return _section("Ours against peers", *parts)


def _series(results):
    """{(name, what varies): scenarios in the order of their x}, of those with two values at least."""
    groups = {}
    for scenario in results["scenarios"]:
        if scenario["series"] and known(scenario["x"]) is not None and _ran(scenario):
            groups.setdefault(scenario["series"], []).append(scenario)
    found = {}
    for name, scenarios in groups.items():
        for key, _, _ in VARIED:
            if len({scenario["what"].get(key) for scenario in scenarios}) > 1:
                found[name, key] = sorted(scenarios, key=lambda scenario: scenario["x"])
                break
    return found


def _curves(results, book, key, heading, across):
    parts = []
    for (name, varied), scenarios in _series(results).items():
        if varied != key:
            continue
        unit, scale = UNITS[scenarios[0]["unit"]]
        curves = {}
        for scenario in scenarios:
            for one in _ran(scenario):
                spread = one.get("spread") or {}
                point = [one["median"]["rate"], spread.get("lowest"), spread.get("highest")]
                point = [(value if known(value) is not None else point[0]) / scale for value in point]
                curves.setdefault(one["name"], []).append((scenario["x"], *point))
        word = size if key == "size" else lambda value: f"{value:g}"
        xs = [scenario["x"] for scenario in scenarios]
        rows = [[contender, *(number(next((point[1] for point in points if point[0] == x), None)) for x in xs)]
                for contender, points in curves.items()]
        parts.append(book.picture(plots.lines, f"{scenarios[0]['title']}: {unit} by {across}",
                                  f"Medians in {unit}; the numbers stand in the table below.",
                                  [(book.colour(contender), points) for contender, points in curves.items()], across, unit,
                                  ticks=[(word(x), x) for x in xs],
                                  legend=[(contender, book.colour(contender)) for contender in curves]))
        parts.append(table(f"{name}: {unit}", ("contender", *map(word, xs)), rows, range(1, len(xs) + 1)))
        parts.append(_fairness(scenarios))
    return _section(heading, *parts) if parts else Html("")


def _fairness(scenarios):
    names = dict.fromkeys(one["name"] for scenario in scenarios for one in _ran(scenario)
                          if known(one["median"].get("fairness")) is not None)
    if not names:
        return Html("")

    def off(name, scenario):
        fairness = known(((contenders(scenario).get(name) or {}).get("median") or {}).get("fairness"))
        return "–" if fairness is None else f"{fairness:.1%}"

    return table("How far the connection that is farthest from its share is from it",
                 ("contender", *(f"{scenario['x']:g}" for scenario in scenarios)),
                 [(name, *(off(name, scenario) for scenario in scenarios)) for name in names], range(1, len(scenarios) + 1))


def _processor(results, book):
    parts = []
    for scenario in results["scenarios"]:
        bars = []
        for one in _ran(scenario):
            server, client = (known(one["median"].get(f"cpu_{end}_per_gb")) for end in ("server", "client"))
            if server is not None and client is not None:
                bars.append((one["name"], [(server, 0), (client, 1)]))
        if scenario["series"] or scenario["unit"] != "bytes" or len(bars) < 2:
            continue
        bars.sort(key=lambda bar: sum(value for value, _ in bar[1]))
        parts.append(book.picture(plots.bars, f"{scenario['title']}: processor seconds for a GB",
                                  "; ".join(f"{name}: server {parts[0][0]:.2f}, client {parts[1][0]:.2f}" for name, parts in bars),
                                  bars, "processor seconds for 10⁹ bytes; less is better",
                                  legend=[("server", 0), ("client", 1)], swatches=True))
        told = contenders(scenario)
        rows = [(name, (told[name].get("told") or {}).get("path") or told[name].get("path") or "–",
                 *(number(end[0]) for end in ends), number(told[name]["median"].get("cpu_machine_per_gb")))
                for name, ends in bars]
        parts.append(table(f"{scenario['id']}: processor seconds for a GB", ("contender", "path", "server", "client", "machine"),
                           rows, (2, 3, 4)))
    if not parts:
        return Html("")
    return _section("Processor time by path", paragraph(
        "Seconds of the server's processes and of the client's for each GB of bodies; the machine's also has what the kernel did "
        "for both in nobody's name, and everybody else."), *parts)


def _digests(results):
    rows = []
    for scenario in results["scenarios"]:
        there = {one["name"]: one for one in _ran(scenario)}
        for name, one in there.items():
            plain = there.get(name.removesuffix(":digests"))
            if one.get("digests") and plain is not None and plain is not one:
                before, after = plain["median"]["rate"], one["median"]["rate"]
                rows.append((scenario["title"], name, _rate(scenario["unit"], before), _rate(scenario["unit"], after),
                             times(after / before), number(plain["median"].get("cpu_machine_per_gb")),
                             number(one["median"].get("cpu_machine_per_gb"))))
    if not rows:
        return Html("")
    return _section("What verifying costs", paragraph(
        "The peers verify nothing end to end, so targets are held against transfers without digests. Here is the same with them."),
        table("Without and with digests", ("what", "contender", "without", "with", "with / without", "CPU s per GB without",
                                           "with"), rows, (2, 3, 4, 5, 6)))


def _floor(counted, book):
    if not counted.rows:
        return Html("")
    parts = [paragraph(
        "Counted in the QEMU guest with Debian's stock kernel, whose clock counts instructions: the same run gives the same "
        "figure within half a percent, on any machine. The floor does only what the physics needs: handshake, keys to the "
        "kernel, one loop of sendfile or recv. Only what the server's processes used is counted, the kernel's work in their name "
        "included.")]
    for unit, digits in (("byte", 3), ("request", 4), ("handshake", 4)):
        rows = [one for one in counted.rows if one["unit"] == unit]
        if not rows:
            continue
        bars = [(f"{one['contender']} · {one['scenario']}", [(one["each"], 0 if one["contender"].startswith("sluice") else 7)])
                for one in rows]
        parts.append(book.picture(plots.bars, f"Instructions for each {unit}, server side",
                                  "; ".join(f"{label} {number(parts[0][0], digits)}" for label, parts in bars), bars,
                                  f"instructions for each {unit}; less is better", digits=digits,
                                  legend=[("Sluice", 0), ("others", 7)], swatches=True))
        parts.append(table(f"Instructions for each {unit}", ("what", "server", f"for each {unit}", "in all", "kernel threads"),
                           [(counted.titles.get(one["scenario"], one["scenario"]), one["contender"], number(one["each"], digits),
                             whole(one.get("instructions")), whole(one.get("kernel_threads"))) for one in rows], (2, 3, 4)))
    return _section("The floor", *parts)


# Everything


def _what(scenario):
    what = scenario["what"]
    words = [WORDS.get(what.get("direction"), what.get("direction")), size(what.get("size"))]
    words += [f"{what[key]} {key}" for key in ("files", "connections", "requests", "cores")
              if known(what.get(key)) and what[key] > 1]
    return ", ".join(map(str, [*words, what.get("suite") or ""])).rstrip(", ")


def _who(results):
    """Versions of everyone who took part, and why the others did not."""
    found = {}
    for scenario in results["scenarios"]:
        for one in scenario["contenders"]:
            found.setdefault(one["name"], {})[str(one["skipped"] or one["version"] or "–")] = one["skipped"] is not None
    return table("Who took part", ("contender", "version, or why it was left out"),
                 [(name, join((text if not left else join(["left out: ", text]) for text, left in texts.items()), "; "))
                  for name, texts in sorted(found.items())])


def _everything(results):
    parts = [_who(results)]
    for scenario in results["scenarios"]:
        ran, unit = _ran(scenario), UNITS[scenario["unit"]][0]
        left = [tag("li", tag("strong", one["name"]), f": {one['skipped'] or 'no round of it was timed'}")
                for one in scenario["contenders"] if one not in ran]
        parts.append(tag("h3", scenario["title"], " ", tag("code", scenario["id"])))
        parts.append(paragraph(_what(scenario), class_="why"))
        if ran:
            parts.append(table("Medians. Processor seconds (s), context switches and system calls for each GB; most memory at once",
                               ("contender", unit, "lowest–highest", "server s", "client s", "machine s", "switches", "calls",
                                "server MiB", "client MiB"), [_line(scenario["unit"], one) for one in ran], range(1, 10)))
        if left:
            parts += [paragraph("Left out:"), tag("ul", *left)]
    return _section("Every scenario", *parts)


def _line(unit, one):
    median, spread, scale = one["median"], one.get("spread") or {}, UNITS[unit][1]
    calls = one.get("syscalls") or {}
    counted = [known(calls.get(end)) for end in ("server", "client")]
    per_gb = sum(counted) / calls["bytes"] * 1e9 if None not in counted and known(calls.get("bytes")) else None
    low, high, rate = (known(value) for value in (spread.get("lowest"), spread.get("highest"), median["rate"]))
    memory = [known(median.get(f"peak_{end}_kib")) for end in ("server", "client")]
    return (one["name"], number(rate and rate / scale),
            "–" if low is None or high is None else f"{number(low / scale)}–{number(high / scale)}",
            *(number(median.get(f"cpu_{end}_per_gb")) for end in ("server", "client", "machine")),
            number(median.get("switches_per_gb")), number(per_gb), *(number(kib and kib / 1024) for kib in memory))


def _section(heading, *parts):
    anchor = "".join(c if c.isalnum() else "-" for c in heading.lower())
    return tag("section", tag("h2", heading), *parts, id=anchor)


def _contents(sections):
    heads = [(section[section.index('id="') + 4:section.index('">')], section[section.index("<h2>") + 4:section.index("</h2>")])
             for section in sections if section]
    return tag("nav", tag("ul", *(tag("li", tag("a", Html(head), href=f"#{anchor}")) for anchor, head in heads)),
               aria_label="Contents")


def render(results, promised=(), book=None):
    """The page, as text. `promised`: {"id", "title", "targets"} of scenarios that this run may not have had."""
    book, counted = book or Book(), costs.Counted((results.get("instructions") or {}).get("results"))
    sections = [_ratios(results, counted, book), *(_curves(results, book, *varied) for varied in VARIED),
                _processor(results, book), _digests(results), _floor(counted, book), _everything(results),
                _section("What a link needs", *costs.section(results, counted, number))]
    sections = [section for section in sections if section]
    note = tag("p", f"There are no pictures in this report: {book.missing}.", class_="note", role="note") if book.missing else ""
    first = tag("section", tag("h1", "Sluice, measured"), _machine(results["machine"]), _method(results),
                _summary(verdicts(results, counted, promised)), note, _contents(sections), class_="first")
    command = " ".join(f"{key}={','.join(map(str, value)) if isinstance(value, list) else value}"
                       for key, value in sorted((results.get("arguments") or {}).items()) if value)
    foot = tag("footer", paragraph("Made from the results of ", tag("code", "bench/sluice-bench"), f" ({command})."))
    head = join([tag("meta", charset="utf-8"), tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
                 tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
                 tag("meta", name="color-scheme", content="light dark"), tag("title", "Sluice, measured"),
                 tag("style", Html(STYLE.read_text()))])
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body><main>{first}{join(sections)}</main>{foot}</body></html>\n'


def read_instructions(path):
    """What bench/instructions --json wrote. Raises results.Unusable."""
    try:
        found = json.loads(pathlib.Path(path).read_text())
    except (OSError, ValueError) as problem:
        raise results_of.Unusable(f"{path} cannot be read: {problem}") from None
    if not isinstance(found, dict) or not isinstance(found.get("results"), list):
        raise results_of.Unusable(f"{path} is not what bench/instructions --json writes")
    return found


def promises():
    """What scenarios.ini promises, whether or not a run had it."""
    if not SCENARIOS.exists():
        return []
    from harness import machine, scenarios

    return [{"id": one.id, "title": one.title, "targets": results_of.targets(one)}
            for one in scenarios.read(SCENARIOS, machine.memory_bytes())]


def write(results, path, promised=()):
    """Replaces the file in one step. Returns why there are no pictures in it, or null."""
    book = Book()
    page = render(results, promised, book)
    part = f"{path}.part"
    with open(part, "w", encoding="utf-8") as out:
        out.write(page)
    os.replace(part, path)
    return book.missing
