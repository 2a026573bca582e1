"""What a run of sluice-bench found, as JSON, and the arithmetic on it.

A file of results is one object. What is not known, or does not apply, is null; nothing is ever left out.

    format        1
    machine       cpus, model, kernel, openssl, memory_bytes, date (ISO 8601, UTC), ktls (does this kernel have it?)
    arguments     what the run was asked for: scenarios, rounds, size, folder, binary, ...
    instructions  {"results", "ratios"} of bench/instructions, where they were counted in this run (--instructions); else null
    scenarios     those that ran, in their order in scenarios.ini; each has

      id, title   id is the section of scenarios.ini; of those with several values "section/value"
      unit        what counts: "bytes" (per second), "requests" (per second), "memory" (KiB of the server; less is better)
      what        direction (get, put, get-tree, put-tree, requests, connections, idle), size (bytes of one file), files, requests, connections (streams of a get or put), seconds, suite, to ("file" or
                  "null"), cores (that the server may use, null: all), verified (everyone who ran delivered the right bytes in a
                  round of its own before anything was timed), disk (true where the files are on one), guest (null, or
                  {"memory_bytes", "kernel"} of the guest in which it ran)
      series, x   scenarios of one plot have the same series; x is its number on the horizontal axis
      targets     [{"of", "against", "at_least" or "at_most": ratio, "met"}], and {"of", "fair_within": part, "met"} for
                  connections, {"of", "keeps_cache": part, "met"} for files beyond the memory; met is null where one of the
                  two did not run, or nobody knows
      contenders  in the order in which they took turns; each has
        name      as in scenarios.ini: "sluice", "sluice:digests", "sluice:user", "nginx+curl", "scp"
        version   of its programs, server first
        server, client   the programs at each end ("sluice", "nginx", "curl", ...)
        path, digests, streams, offload   what of these a name asked for; digests else false, the others null
        told      the path that it says it took, {"path": NAME, "why": TEXT}: the one asked for, else the sender's; or null
        skipped   null, or why it did not run; then rounds is empty
        failed    true where it could have run, and did not do what it should
        rounds    one for each, the first round of all contenders being rounds[0]; each has
          seconds, bytes (of bodies), requests
          cpu_server, cpu_client, cpu_machine   processor seconds: of the server's processes, of the client's, and of
                                                the whole machine meanwhile, kernel threads and others at work included
          switches_server, switches_client      context switches; null for servers whose processes come and go
          peak_server_kib, peak_client_kib      most memory that was resident at once, summed over its processes
          fairness    connections: the share of the one that is farthest from the mean, as a part of it: 0 is fair
          cache_kept  files on a disk: how much of another file in the page cache was still there, 0 to 1
          cache_moved       the same: how much of the server's file itself was in the page cache afterwards
          cache_grown_kib   the same: by how much the page cache grew
        syscalls  {"server", "client", "bytes", "requests"}: counted in a round of its own, which is not timed; or null
        median    {"rate", "seconds", "cpu_server_per_gb", "cpu_client_per_gb", "cpu_machine_per_gb", "cpu_server_per_request",
                  "switches_per_gb", "peak_server_kib", "peak_client_kib", "fairness", "cache_kept",
                  "cache_moved", "cache_grown_kib"}: of the rounds; GB is 10^9 bytes
        spread    {"lowest", "highest"}: rates
      ratios      [{"of", "against", "median", "lowest", "highest", "at_least", "at_most", "met"}]: round by round, of the
                  rate of `of` divided by that of `against` in the same round; of unit "memory" the KiB are divided. `met` is
                  null where nothing was promised. `against` may be "section/value:name" in another scenario of the same series
"""
import json
import os
import statistics

FORMAT = 1
ROUND = ("seconds", "bytes", "requests", "cpu_server", "cpu_client", "cpu_machine", "switches_server", "switches_client",
         "peak_server_kib", "peak_client_kib", "fairness", "cache_kept", "cache_moved", "cache_grown_kib")


# Promises that are about one contender alone: the fact that is held against them, and whether that is kept.
ALONE = {"fair_within": ("fairness", float.__le__), "keeps_cache": ("cache_kept", float.__ge__)}


class Unusable(Exception):
    """A file of results that cannot be read; the text says which and why."""


def new_round(**found):
    """A round with the given facts, and null for the others."""
    unknown = set(found) - set(ROUND)
    if unknown:
        raise TypeError(f"a round has no {', '.join(sorted(unknown))}")
    return {name: found.get(name) for name in ROUND}


def rate(unit, one):
    """What counts of a round: bytes or requests per second, or KiB."""
    if unit == "memory":
        return one["peak_server_kib"]
    return one[unit] / one["seconds"]


def _median(values):
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _per(rounds, name, of, scale):
    """Medians of one fact of a round divided by another: processor seconds per GB."""
    return _median(one[name] / one[of] * scale for one in rounds if one[name] is not None and one[of])


def _sum(one, other):
    return None if one is None or other is None else one + other


def summary(unit, rounds):
    """(median, spread) of a contender; (null, null) where it did not run."""
    if not rounds:
        return None, None
    rates = [rate(unit, one) for one in rounds]
    both = [{**one, "switches": _sum(one["switches_server"], one["switches_client"])} for one in rounds]
    median = {"rate": _median(rates), "seconds": _median(one["seconds"] for one in rounds),
              "cpu_server_per_gb": _per(rounds, "cpu_server", "bytes", 1e9),
              "cpu_client_per_gb": _per(rounds, "cpu_client", "bytes", 1e9),
              "cpu_machine_per_gb": _per(rounds, "cpu_machine", "bytes", 1e9),
              "cpu_server_per_request": _per(rounds, "cpu_server", "requests", 1),
              "switches_per_gb": _per(both, "switches", "bytes", 1e9)}
    for name in ("peak_server_kib", "peak_client_kib", "fairness", "cache_kept", "cache_moved", "cache_grown_kib"):
        median[name] = _median(one[name] for one in rounds)
    return median, {"lowest": min(rates), "highest": max(rates)}


def ratio(unit, ours, theirs):
    """{"median", "lowest", "highest"} of ours to theirs, round by round; null where one of them did not run."""
    pairs = [(rate(unit, mine), rate(unit, other)) for mine, other in zip(ours, theirs)]
    ratios = [mine / other for mine, other in pairs if other]
    if not ratios:
        return None
    return {"median": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)}


def met(found, at_least=None, at_most=None):
    """Was it kept, by the median? null where nothing was promised."""
    if at_least is not None:
        return found["median"] >= at_least
    if at_most is not None:
        return found["median"] <= at_most
    return None


def held(alone, median, promised):
    """Of a promise of ALONE: was it kept? null where that is not known."""
    fact, keeps = ALONE[alone]
    if not median or median.get(fact) is None:
        return None
    return keeps(float(median[fact]), float(promised))


def targets(scenario):
    """What was promised, of an object of scenarios.py."""
    found = [{"of": scenario.of, "against": against, key: value} for key in ("at_least", "at_most")
             for against, value in getattr(scenario, key)]
    return found + [{"of": scenario.of, key: getattr(scenario, key)} for key in ALONE if getattr(scenario, key)]


def _against(name, one, everything):
    """The contender that "NAME", or "NAME@VALUE" in another scenario of the section, means."""
    plain, _, value = name.partition("@")
    section = one["id"].partition("/")[0]
    wanted = f"{section}/{value}" if value else one["id"]
    for other in everything:
        if other["id"] == wanted:
            return next((found for found in other["contenders"] if found["name"] == plain), None)
    return None


def conclude(everything):
    """Adds to each scenario what its rounds say: medians and spreads, ratios, and whether promises were kept."""
    for one in everything:
        for contender in one["contenders"]:
            contender["median"], contender["spread"] = summary(one["unit"], contender["rounds"])
    for one in everything:
        one["ratios"] = _ratios(one)
        for promise in one["targets"]:
            promise["met"] = None
            mine = _against(promise["of"], one, everything)
            if not mine:
                continue
            alone = next((key for key in ALONE if key in promise), None)
            if alone:
                promise["met"] = held(alone, mine["median"], promise[alone])
                continue
            other = _against(promise["against"], one, everything)
            found = ratio(one["unit"], mine["rounds"], other["rounds"]) if other else None
            if not found:
                continue
            at = {key: promise.get(key) for key in ("at_least", "at_most")}
            promise["met"] = met(found, **at)
            listed = [old for old in one["ratios"] if (old["of"], old["against"]) == (promise["of"], promise["against"])]
            if not listed:
                listed = [{"of": promise["of"], "against": promise["against"], **found}]
                one["ratios"] += listed
            listed[0].update(at, met=promise["met"])


def _ratios(one):
    """Of each of ours to everyone else in the scenario."""
    found = []
    for mine in one["contenders"]:
        for other in one["contenders"]:
            if "sluice" not in (mine["server"], mine["client"]) or mine is other:
                continue
            these = ratio(one["unit"], mine["rounds"], other["rounds"])
            if these:
                found.append({"of": mine["name"], "against": other["name"], **these, "at_least": None, "at_most": None,
                              "met": None})
    return found


def write(results, path):
    """Replaces the file in one step: a run that is interrupted leaves the former one."""
    part = f"{path}.part"
    with open(part, "w") as out:
        json.dump(results, out, indent=1)
        out.write("\n")
    os.replace(part, path)


def read(path):
    try:
        with open(path) as file:
            results = json.load(file)
    except OSError as problem:
        raise Unusable(f"{path} cannot be read: {problem.strerror}") from None
    except ValueError as problem:
        raise Unusable(f"{path} is no JSON: {problem}") from None
    if not isinstance(results, dict) or results.get("format") != FORMAT:
        raise Unusable(f"{path} is no result of sluice-bench in format {FORMAT}")
    return results
