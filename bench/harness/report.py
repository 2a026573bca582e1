"""One HTML file of what sluice-bench found: figures, pictures, and first of all which promises were kept.

It needs no network and no script, and everything in it that came from outside is escaped (page.py). Without gnuplot it has the
tables and says what is missing. Results are as results.py describes them; counts of instructions as bench/instructions
writes them, under "instructions", and those of copies as bench/copies does, under "copies".
"""
import datetime
import json
import os
import pathlib
import re

from harness import costs, machine, scenarios, sections
from harness import results as results_of
from harness.page import Html, escape, join, number, paragraph, size, table, tag, times
from harness.promises import verdicts

STYLE = pathlib.Path(__file__).with_name("report.css")
SCENARIOS = pathlib.Path(__file__).parent.with_name("scenarios.ini")
ALONE = {"fair_within": "within", "keeps_cache": "at least"}
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


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


def _method(results, counted):
    timed = [scenario for scenario in results["scenarios"] if sections.ran(scenario)]
    rounds = [len(one["rounds"]) for scenario in timed for one in sections.ran(scenario)]
    least, most = (min(rounds), max(rounds)) if rounds else (0, 0)
    checked = sum(bool(scenario["what"].get("verified")) for scenario in timed)
    return join([paragraph(
        f"{_count(len(timed), 'scenario', 'scenarios')} ran, each in ",
        _count(least, "round", "rounds") if least == most else f"{least} to {most} rounds",
        " in which all contenders took turns, so that what else the machine did met all of them alike. A figure is the "
        "median of the rounds, the bracket behind it the lowest and the highest; a ratio is taken round by round. In ",
        "all of them" if checked == len(timed) else _count(checked, "scenario", "scenarios"),
        " the bytes that arrived were compared before anything was timed."), _smaller(results.get("arguments") or {}, counted)])


def _smaller(arguments, counted):
    """A run that was asked to do less says so where its targets stand."""
    limits = []
    if arguments.get("size"):
        limits.append(f"no file was larger than {size(arguments['size'])} (--size)")
    if arguments.get("count"):
        limits.append(f"there were no more than {arguments['count']} files, requests or idle connections (--count)")
    if counted.smaller:
        limits.append("instructions were counted of less of each than its title says (--quick, --short)")
    if not limits:
        return Html("")
    return paragraph(tag("strong", "This was a smaller run than the targets are about: "), "; ".join(limits), ".", class_="note")


def _ratio_words(verdict):
    if verdict.kind in results_of.ALONE:
        return f"{verdict.found['median']:.0%}"
    return times(verdict.found["median"])


def _promise(verdict, least="≥ ", most="≤ "):
    if verdict.kind in results_of.ALONE:
        return f"{ALONE[verdict.kind]} {verdict.promised:.0%}"
    return (least if verdict.is_floor else most) + times(verdict.promised)


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
    missed = [tag("li", f"{one.title}: ", tag("strong", f"{_ratio_words(one)}{sections.spread(one.found)}"),
                  f" for {one.of} against {one.against}; promised was {_promise(one, 'at least ', 'at most ')}, ",
                  ("so it falls short by " if one.is_floor else "so it is above by "), f"{one.missed_by:.1%}.")
              for one in groups[False]]
    parts = [tiles]
    if missed:
        parts += [tag("h3", "Where it falls short"), tag("ul", *missed)]
    rows = [(one.title, f"{one.of} / {one.against}", _promise(one),
             "–" if one.met is None else _ratio_words(one) + sections.spread(one.found), _outcome(one)) for one in found]
    if rows:
        parts.append(table("Every target, and what became of it",
                           ("what", "ours / against", "promised", "found", "outcome"), rows, (2, 3)))
    return join(parts)


# The whole


def _contents(chapters):
    heads = [re.search(r'id="([^"]*)"><h2>(.*?)</h2>', chapter).groups() for chapter in chapters]
    return tag("nav", tag("ul", *(tag("li", tag("a", Html(head), href=f"#{anchor}")) for anchor, head in heads)),
               aria_label="Contents")


def render(results, promised=(), book=None):
    """The page, as text. `promised`: {"id", "title", "targets"} of scenarios that this run may not have had."""
    book, counted = book or sections.Book(), costs.Counted((results.get("instructions") or {}).get("results"))
    chapters = [sections.ratios(results, counted, book),
                *(sections.curves(results, book, *varied) for varied in sections.VARIED),
                sections.processor(results, book), sections.digests(results), sections.memory(results),
                sections.floor(counted, results.get("copies"), book), sections.everything(results),
                sections.section("What a link needs", *costs.section(results, counted, number))]
    chapters = [chapter for chapter in chapters if chapter]
    note = tag("p", f"There are no pictures in this report: {book.missing}.", class_="note", role="note") if book.missing else ""
    first = tag("section", tag("h1", "Sluice, measured"), _machine(results["machine"]), _method(results, counted),
                _summary(verdicts(results, counted, promised)), note, _contents(chapters), class_="first")
    command = " ".join(f"{key}={','.join(map(str, value)) if isinstance(value, list) else value}"
                       for key, value in sorted((results.get("arguments") or {}).items()) if value)
    foot = tag("footer", paragraph("Made from the results of ", tag("code", "bench/sluice-bench"), f" ({command})."))
    head = join([tag("meta", charset="utf-8"), tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
                 tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
                 tag("meta", name="color-scheme", content="light dark"), tag("title", "Sluice, measured"),
                 tag("style", Html(STYLE.read_text()))])
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body><main>{first}{join(chapters)}</main>{foot}</body></html>\n'


def _read(path, what, usable):
    try:
        found = json.loads(pathlib.Path(path).read_text())
    except (OSError, ValueError) as problem:
        raise results_of.Unusable(f"{path} cannot be read: {problem}") from None
    if not usable(found):
        raise results_of.Unusable(f"{path} is not what {what} writes")
    return found


def read_instructions(path):
    """What bench/instructions --json wrote. Raises results.Unusable."""
    return _read(path, "bench/instructions --json",
                 lambda found: isinstance(found, dict) and isinstance(found.get("results"), list))


def read_copies(path):
    """What bench/copies --json wrote. Raises results.Unusable."""
    return _read(path, "bench/copies --json", lambda found: isinstance(found, list) and all(
        isinstance(one, dict) and {"direction", "contender", "bytes", "copied", "each"} <= set(one) for one in found))


def promises(path=SCENARIOS):
    """What a file of scenarios promises, whether or not a run had it."""
    return [{"id": one.id, "title": one.title, "targets": results_of.targets(one)}
            for one in scenarios.read(path, machine.memory_bytes())]


def write(results, path, promised=()):
    """Replaces the file in one step. Returns why there are no pictures in it, or null."""
    book = sections.Book()
    page = render(results, promised, book)
    part = f"{path}.part"
    with open(part, "w", encoding="utf-8") as out:
        out.write(page)
    os.replace(part, path)
    return book.missing
