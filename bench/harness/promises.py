"""What was promised, and what became of it in a run: kept, missed and by how much, or not measured and why."""
import dataclasses

from harness.page import known
from harness.results import ALONE, held

AGAINST = {"fair_within": "an equal share for each connection", "keeps_cache": "a page cache that is left alone"}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A promise and what became of it. `met` is null where it was not measured; then `why` says why not."""
    title: str
    of: str
    against: str
    promised: float
    kind: str               # at_least, at_most, or one of results.ALONE
    found: dict | None
    met: bool | None
    why: str = ""

    @property
    def is_floor(self):
        return self.kind in ("at_least", "keeps_cache")

    @property
    def missed_by(self):
        if self.is_floor:
            return 1 - self.found["median"] / self.promised
        return self.found["median"] / self.promised - 1


def contenders(scenario):
    return {one["name"]: one for one in scenario["contenders"]}


def title_of(scenario):
    """With the value of what varies in it, where something does: "connections that fetch at once (256)"."""
    _, _, value = str(scenario["id"]).partition("/")
    return f"{scenario['title']} ({value})" if value else scenario["title"]


def _absent(scenario, *names):
    """Why a ratio is not there: what one of the two said when it was left out."""
    there = contenders(scenario)
    for name in names:
        name = name.partition("@")[0]
        if name in there and there[name]["skipped"]:
            return f"{name}: {there[name]['skipped']}"
    return "it was not part of this run"


def _alone(scenario, of, kind, promised):
    """A promise that is not about anybody else."""
    median = contenders(scenario).get(of, {}).get("median")
    value = known((median or {}).get(ALONE[kind][0]))
    why = "this machine has no program that tells it (fincore)" if median and kind == "keeps_cache" else _absent(scenario, of)
    return Verdict(title_of(scenario), of, AGAINST[kind], promised, kind,
                   None if value is None else {"median": value, "lowest": value, "highest": value},
                   None if value is None else held(kind, median, promised), "" if value is not None else why)


def _of_scenario(scenario):
    found = {(one["of"], one["against"]): one for one in scenario["ratios"]}
    for target in scenario["targets"] or ():
        of = target["of"]
        alone = next((key for key in ALONE if target.get(key) is not None), None)
        if alone:
            yield _alone(scenario, of, alone, target[alone])
            continue
        kind = "at_least" if target.get("at_least") is not None else "at_most"
        one = found.get((of, target["against"]))
        usable = one if one and known(one["median"]) is not None else None
        met = None
        if usable:
            met = usable["median"] >= target[kind] if kind == "at_least" else usable["median"] <= target[kind]
        yield Verdict(title_of(scenario), of, target["against"], target[kind], kind, usable, met,
                      "" if usable else _absent(scenario, of, target["against"]))


def _once(value):
    return None if value is None else {"median": value, "lowest": None, "highest": None}


def _of_instructions(counted):
    measured = {(one["scenario"], one["contender"], one["against"]): one["ratio"] for one in counted.ratios}
    for scenario, contender, _, against, goal in counted.goals:
        ratio = measured.get((scenario, contender, against))
        yield Verdict(f"guest, instructions: {counted.titles.get(scenario, scenario)}", contender, against, goal, "at_most",
                      _once(ratio),
                      None if ratio is None else ratio <= goal,
                      "" if ratio is not None else "its instructions were not counted in this run")


def _of_crowds(counted):
    """Connections that fetch at once in the guest, where the kernel encrypts."""
    for scenario, rate, unfair in counted.crowd_goals:
        row = counted.crowds.get(scenario) or {}
        title = f"guest: {counted.titles[scenario]}"
        promised = [("fair_within", AGAINST["fair_within"], unfair, known(row.get("unfair")))]
        if scenario != counted.crowd_reference:
            four = f"sluice with {counted.crowd_reference.rpartition('-')[2]}"
            promised.insert(0, ("at_least", four, rate, known(row.get("against"))))
        for kind, against, value, found in promised:
            met = None if found is None else found >= value if kind == "at_least" else found <= value
            yield Verdict(title, "sluice", against, value, kind, _once(found), met,
                          "" if found is not None else "not measured in this run (--instructions)")


def verdicts(results, counted, promised=()):
    """Of every promise: those of this run first, then those of `promised` (scenarios not in this run)."""
    found = [verdict for scenario in results["scenarios"] for verdict in _of_scenario(scenario)]
    there = {scenario["id"] for scenario in results["scenarios"]}
    for scenario in promised:
        if scenario["id"] not in there:
            found += _of_scenario({**scenario, "ratios": [], "contenders": []})
    return found + list(_of_instructions(counted)) + list(_of_crowds(counted))
