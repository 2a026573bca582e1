"""What follows the report's first page: pictures with their tables, and every scenario.

Each function returns one section, or nothing where the run has nothing for it.
"""
from harness import plots
from harness.page import Html, join, known, number, paragraph, size, table, tag, times, whole
from harness.promises import contenders

WORDS = {"get": "GET", "put": "PUT", "get-tree": "many files, fetched", "put-tree": "many files, sent", "requests": "requests",
         "connections": "connections at once", "idle": "idle connections"}
UNITS = {"bytes": ("GB/s", 1e9), "requests": ("requests/s", 1), "memory": ("MiB", 1024)}
VARIED = (("size", "Throughput by size", "size of the file"), ("connections", "Scaling by connections", "connections at once"),
          ("cores", "Scaling by cores", "cores of the server"))


def ran(scenario):
    return [one for one in scenario["contenders"] if one["rounds"] and one.get("median")]


def spread(found):
    if known(found.get("lowest")) is None or found["lowest"] == found["highest"]:
        return ""
    return f" ({found['lowest']:.2f}–{found['highest']:.2f})"


def section(heading, *parts):
    anchor = "".join(c if c.isalnum() else "-" for c in heading.lower())
    return tag("section", tag("h2", heading), *parts, id=anchor)


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


def ratios(results, counted, book):
    more, less, rows = [], [], []
    for scenario, one in _against_peers(results):
        digests = contenders(scenario)[one["of"]].get("digests")
        promised = known(one.get("at_least")) or known(one.get("at_most"))
        low, high = (one[key] if known(one[key]) is not None else one["median"] for key in ("lowest", "highest"))
        (less if scenario["unit"] == "memory" else more).append(
            (f"{scenario['id']}{', digests' if digests else ''}: {one['against']}", one["median"], low, high, promised, one["met"]))
        rows.append((scenario["title"], f"{one['of']} / {one['against']}", times(one["median"]), spread(one).strip(" ()") or "–",
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
    return section("Ours against peers", *parts)


def _series(results):
    """{(name, what varies): scenarios in the order of their x}, of those with two values at least."""
    groups = {}
    for scenario in results["scenarios"]:
        if scenario["series"] and known(scenario["x"]) is not None and ran(scenario):
            groups.setdefault(scenario["series"], []).append(scenario)
    found = {}
    for name, scenarios in groups.items():
        for key, _, _ in VARIED:
            if len({scenario["what"].get(key) for scenario in scenarios}) > 1:
                found[name, key] = sorted(scenarios, key=lambda scenario: scenario["x"])
                break
    return found


def curves(results, book, key, heading, across):
    parts = []
    for (name, varied), scenarios in _series(results).items():
        if varied != key:
            continue
        unit, scale = UNITS[scenarios[0]["unit"]]
        curves = {}
        for scenario in scenarios:
            for one in ran(scenario):
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
    return section(heading, *parts) if parts else Html("")


def _fairness(scenarios):
    names = dict.fromkeys(one["name"] for scenario in scenarios for one in ran(scenario)
                          if known(one["median"].get("fairness")) is not None)
    if not names:
        return Html("")

    def off(name, scenario):
        fairness = known(((contenders(scenario).get(name) or {}).get("median") or {}).get("fairness"))
        return "–" if fairness is None else f"{fairness:.1%}"

    return table("How far the connection that is farthest from its share is from it",
                 ("contender", *(f"{scenario['x']:g}" for scenario in scenarios)),
                 [(name, *(off(name, scenario) for scenario in scenarios)) for name in names], range(1, len(scenarios) + 1))


def processor(results, book):
    parts = []
    for scenario in results["scenarios"]:
        bars = []
        for one in ran(scenario):
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
    return section("Processor time by path", paragraph(
        "Seconds of the server's processes and of the client's for each GB of bodies; the machine's also has what the kernel did "
        "for both in nobody's name, and everybody else."), *parts)


def digests(results):
    rows = []
    for scenario in results["scenarios"]:
        there = {one["name"]: one for one in ran(scenario)}
        for name, one in there.items():
            plain = there.get(name.removesuffix(":digests"))
            if one.get("digests") and plain is not None and plain is not one:
                before, after = plain["median"]["rate"], one["median"]["rate"]
                rows.append((scenario["title"], name, _rate(scenario["unit"], before), _rate(scenario["unit"], after),
                             times(after / before), number(plain["median"].get("cpu_machine_per_gb")),
                             number(one["median"].get("cpu_machine_per_gb"))))
    if not rows:
        return Html("")
    return section("What verifying costs", paragraph(
        "The peers verify nothing end to end, so targets are held against transfers without digests. Here is the same with them."),
        table("Without and with digests", ("what", "contender", "without", "with", "with / without", "CPU s per GB without",
                                           "with"), rows, (2, 3, 4, 5, 6)))


def _part(value):
    return "–" if known(value) is None else f"{value:.0%}"


def memory(results):
    parts = []
    for scenario in results["scenarios"]:
        there, connections = ran(scenario), known(scenario["what"].get("connections"))
        if scenario["unit"] == "memory" and there and connections:
            parts.append(table(f"{scenario['title']}: {connections:,}", ("contender", "MiB", "KiB for each connection"),
                               [(one["name"], number(one["median"]["rate"] / 1024), number(one["median"]["rate"] / connections))
                                for one in there], (1, 2)))
        kept = [one for one in there if known(one["median"].get("cache_kept")) is not None]
        if kept:
            parts.append(table(f"{scenario['title']}: how much of another file the page cache still had afterwards",
                               ("contender", UNITS[scenario["unit"]][0], "still there", "of the file itself"),
                               [(one["name"], number(one["median"]["rate"] / UNITS[scenario["unit"]][1]),
                                 *(_part(one["median"].get(key)) for key in ("cache_kept", "cache_moved"))) for one in kept],
                               (1, 2, 3)))
    return section("Memory", *parts) if parts else Html("")


def _copies(rows):
    if not rows:
        return Html("")
    told = [(f"{one['direction'].upper()}, {one['contender']}", size(one["bytes"]), whole(one["copied"]),
             f"{one['each']:.4f}") for one in rows if known(one.get("each")) is not None]
    return join([paragraph(
        "How often the server's processor copies each byte of a body between kernel and user memory, counted in the guest by a "
        "breakpoint on every function that does. Encrypting from one into the other is no copy. What is left where nothing is "
        "copied are handshakes, heads and events; a PUT into a file of the page cache cannot do without one copy."),
        table("Copies of a body", ("what", "body", "bytes copied", "copies of each byte"), told, (1, 2, 3))])


def floor(counted, copies, book):
    if not counted.rows:
        return section("The floor", _crowds(counted), _copies(copies)) if copies or counted.crowds else Html("")
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
    return section("The floor", *parts, _crowds(counted), _copies(copies))


def _crowds(counted):
    """Connections at once, in the guest: it has kTLS, which the machine of the other scenarios may not have."""
    if not counted.crowds:
        return Html("")
    rows = [(f"{one['connections']}", one["contender"], number(one["rate"] / 1e6), times(one["against"]),
             "–" if known(one["unfair"]) is None else f"{one['unfair']:.1%}") for one in counted.crowds.values()]
    return table("Connections that fetch at once, the kernel encrypts: bytes for 10⁹ instructions of both ends together, and how "
                 "far the one that is farthest from its share is from it",
                 ("connections", "server", "MB", "to four connections", "farthest share"), rows, (2, 3, 4))


def _what(scenario):
    what = scenario["what"]
    words = [WORDS.get(what.get("direction"), what.get("direction")), size(what.get("size"))]
    words += [f"{what[key]} {key}" for key in ("files", "connections", "requests", "cores")
              if known(what.get(key)) and what[key] > 1]
    if what.get("guest"):
        guest = what["guest"]
        words.append(f"on a disk of a guest with {size(guest.get('memory_bytes'))} of memory, Linux {guest.get('kernel')}")
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


def everything(results):
    parts = [_who(results)]
    for scenario in results["scenarios"]:
        timed, unit = ran(scenario), UNITS[scenario["unit"]][0]
        left = [tag("li", tag("strong", one["name"]), f": {one['skipped'] or 'no round of it was timed'}")
                for one in scenario["contenders"] if one not in timed]
        parts.append(tag("h3", scenario["title"], " ", tag("code", scenario["id"])))
        parts.append(paragraph(_what(scenario), class_="why"))
        if timed:
            parts.append(table("Medians. Processor seconds (s), context switches and system calls for each GB; most memory at once",
                               ("contender", unit, "lowest–highest", "server s", "client s", "machine s", "switches", "calls",
                                "server MiB", "client MiB"), [_line(scenario["unit"], one) for one in timed], range(1, 10)))
        if left:
            parts += [paragraph("Left out:"), tag("ul", *left)]
    return section("Every scenario", *parts)


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
