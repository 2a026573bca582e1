"""Reads scenarios.ini: what moves, between whom, and what was promised. A mistake is told with file, section and key."""
import configparser
import dataclasses
import re

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
DIRECTIONS = ("get", "put", "get-tree", "put-tree", "requests", "connections", "idle")
COUNTED = ("bytes", "requests", "memory")
VARIED = ("size", "connections", "cores")
SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")


class Mistake(Exception):
    """What is wrong in a file of scenarios, as a sentence with its place."""


def size(text, memory):
    """Bytes of "64K", "1.5G" or "0.6 memory", which is that part of this machine's."""
    part = re.fullmatch(r"(\d+(?:\.\d+)?) memory", text)
    if part:
        return int(float(part[1]) * memory) // 4096 * 4096
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text)
    if not found or float(found[1]) == 0:
        raise ValueError(f'"{text}" is no size; write 64K, 4G or "0.6 memory"')
    return int(float(found[1]) * UNITS[found[2]])


def size_word(number):
    """The shortest way to write a number of bytes that size() reads as the same."""
    for word in "TGMK":
        if number >= UNITS[word] and number * 4 % UNITS[word] == 0:
            return f"{number / UNITS[word]:g}{word}"
    return str(number)


def _count(text, _memory):
    if not re.fullmatch(r"[1-9]\d{0,6}", text):
        raise ValueError(f'"{text}" is no number from 1 to 9999999')
    return int(text)


def _part(text, _memory):
    if not re.fullmatch(r"\d+(\.\d+)?", text) or float(text) <= 0:
        raise ValueError(f'"{text}" is no ratio; write 2.2')
    return float(text)


def _words(text, _memory):
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if not re.fullmatch(r"[\w.:=+@/-]+", word):
            raise ValueError(f'"{word}" is no name of a contender')
    if len(set(words)) < len(words):
        raise ValueError("one stands there twice")
    return tuple(words)


def _promises(text, memory):
    """[(whom, ratio)] of "nginx+curl 2.2, scp 3"."""
    found = []
    for promise in text.split(","):
        whom, _, ratio = promise.strip().rpartition(" ")
        if not whom:
            raise ValueError(f'"{promise.strip()}" is no promise; write "scp 3"')
        found.append((whom.strip(), _part(ratio, memory)))
    return tuple(found)


def _one_of(*allowed):
    def read(text, _memory):
        if text not in allowed:
            raise ValueError(f'"{text}" is none of {", ".join(allowed)}')
        return text

    return read


def _yes(text, memory):
    return _one_of("yes", "no")(text, memory) == "yes"


def _text(text, _memory):
    return " ".join(text.split())


KEYS = {
    "title": _text, "direction": _one_of(*DIRECTIONS), "unit": _one_of(*COUNTED), "contenders": _words, "size": size,
    "files": _count, "connections": _count, "requests": _count, "volume": size, "seconds": _part, "suite": _one_of(*SUITES),
    "to": _one_of("file", "null"), "cores": _count, "of": _text, "at_least": _promises, "at_most": _promises,
    "fair_within": _part, "keeps_cache": _part, "guest": size, "series": _text, "vary": _one_of(*VARIED), "values": _text,
    "rounds": _count, "quick": _yes,
}
NEEDED = ("title", "direction", "contenders")


@dataclasses.dataclass(frozen=True)
class Scenario:
    section: str
    id: str
    title: str
    direction: str
    contenders: tuple
    unit: str = "bytes"
    size: int = 2**30
    files: int = 1
    connections: int = 1
    requests: int = 1
    volume: int = 0  # of all requests together: fewer of them where they are large
    seconds: float = 0.0
    suite: str = SUITES[0]
    to: str = "file"
    cores: int = 0
    of: str = ""
    at_least: tuple = ()
    at_most: tuple = ()
    fair_within: float = 0.0
    guest: int = 0  # on a disk: of the guest with so many bytes of memory, or of this machine (--disk)
    keeps_cache: float = 0.0  # at least this part of another file is still in the page cache afterwards
    series: str = ""
    x: int | None = None
    rounds: int = 0
    quick: bool = False

    def __post_init__(self):
        if self.volume:
            object.__setattr__(self, "requests", max(1, min(self.requests, self.volume // self.size)))

    @property
    def bytes(self):
        """Of bodies, in one round; 0 where the time is what is given."""
        return 0 if self.direction in ("connections", "idle") else self.size * self.files * self.requests


class Section:
    def __init__(self, path, name, values, memory, in_guest):
        self.path, self.name, self.memory = path, name, memory
        if in_guest and "guest" in values:
            self.memory = self._read("guest", values["guest"])
        self.given = {key: self._read(key, text) for key, text in values.items()}
        for key in NEEDED:
            if key not in self.given:
                raise Mistake(f"{path}: [{name}] has no {key}")

    def mistake(self, key, why):
        return Mistake(f"{self.path}: [{self.name}] {key}: {why}")

    def _read(self, key, text):
        if key not in KEYS:
            raise self.mistake(key, f"there is no such key; there are {', '.join(sorted(KEYS))}")
        try:
            return KEYS[key](text, self.memory)
        except ValueError as problem:
            raise self.mistake(key, problem) from None

    def _known(self, key, name, values):
        """A contender that is named in a promise is one of this section's; "NAME@VALUE" is in that one of its scenarios."""
        plain, _, value = name.partition("@")
        if plain not in self.given["contenders"]:
            raise self.mistake(key, f'"{plain}" is none of the contenders')
        if value and value not in values:
            raise self.mistake(key, f'"{value}" is none of the values')

    def scenarios(self):
        """One, or with `vary` one for each of the values."""
        given = dict(self.given)
        varied, values = given.pop("vary", None), given.pop("values", "").split()
        if bool(varied) != bool(values):
            raise self.mistake("vary", "goes together with values")
        given.setdefault("of", given["contenders"][0])
        self._known("of", given["of"], ())
        for key in ("at_least", "at_most"):
            for name, _ in given.get(key, ()):
                self._known(key, name, values)
        if not varied:
            return [Scenario(section=self.name, id=self.name, **given)]
        given.setdefault("series", self.name)
        return [self._one(given, varied, value) for value in values]

    def _one(self, given, varied, value):
        try:
            number = KEYS[varied](value, self.memory)
        except ValueError as problem:
            raise self.mistake("values", problem) from None
        return Scenario(section=self.name, id=f"{self.name}/{value}", **{**given, varied: number, "x": number})


def read(path, memory, in_guest=True):
    """Every scenario of the file, in its order. "memory" is that of the guest where a section has one and `in_guest` is true."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#", ";"))
    try:
        with open(path) as file:
            parser.read_file(file, source=str(path))
    except OSError as problem:
        raise Mistake(f"{path} cannot be read: {problem.strerror}") from None
    except configparser.Error as problem:
        raise Mistake(" ".join(str(problem).split())) from None
    found = []
    for name in parser.sections():
        found += Section(path, name, parser[name], memory, in_guest).scenarios()
    if not found:
        raise Mistake(f"{path} names no scenario")
    return found


def chosen(scenarios, names):
    """Those that are asked for by section or by id; all where no name is given."""
    for name in names:
        if not any(name in (one.section, one.id) for one in scenarios):
            known = ", ".join(dict.fromkeys(one.section for one in scenarios))
            raise Mistake(f'there is no scenario "{name}"; there are {known}')
    return [one for one in scenarios if not names or one.section in names or one.id in names]


def smaller(scenarios, most_bytes=None, most_count=None):
    """The same with no file larger, and nothing more often, than that. Of those that are then alike the first is left."""
    found = {}
    for one in scenarios:
        limits = {"size": most_bytes, "files": most_count, "requests": most_count, "connections": most_count}
        changed = {name: min(getattr(one, name), limit) for name, limit in limits.items() if limit}
        one = dataclasses.replace(one, **changed)
        found.setdefault(dataclasses.replace(one, id="", x=None), one)
    return list(found.values())
