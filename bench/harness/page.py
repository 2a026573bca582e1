"""HTML that cannot be broken by what is written into it: text is escaped unless it is Html already."""
import html
import math
import unicodedata

VOID = {"meta", "br", "hr"}


class Html(str):
    """Text that is HTML."""


def visible(text):
    """Control and formatting characters of a foreign text, as escapes: nothing of it may act, or hide."""
    return "".join(c if c == " " or unicodedata.category(c)[0] != "C" else f"\\u{ord(c):04x}" for c in str(text))


def escape(text):
    return text if isinstance(text, Html) else Html(html.escape(visible(text)))


def join(parts, between=""):
    return Html(escape(between).join(escape(part) for part in parts))


def tag(name, /, *children, **attributes):
    """tag("td", 5, class_="number"): an attribute that is null is left out; `_` in a name stands for "-"."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{html.escape(visible(value))}"'
                    for key, value in attributes.items() if value is not None)
    if name in VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{join(children)}</{name}>")


def table(caption, heads, rows, numbers=()):
    """Cells of the columns whose indexes are in `numbers` stand to the right; the first of a row is its head."""
    def cell(index, value):
        kind = "th" if index == 0 else "td"
        return tag(kind, value, scope="row" if index == 0 else None, class_="number" if index in numbers else None)

    head = tag("tr", *(tag("th", text, scope="col", class_="number" if index in numbers else None)
                       for index, text in enumerate(heads)))
    body = join(tag("tr", *(cell(index, value) for index, value in enumerate(row))) for row in rows)
    return tag("div", tag("table", tag("caption", caption), tag("thead", head), tag("tbody", body)), class_="scroll",
               tabindex="0", role="region", aria_label=caption)


def paragraph(*parts, **attributes):
    return tag("p", *parts, **attributes)


def known(value):
    """A number one can work with, else null."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value


def number(value, digits=3):
    """Three significant digits, and no exponent: 0.00123, 1.23, 1,230."""
    value = known(value)
    if value is None:
        return "–"
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}"


def whole(value):
    return "–" if known(value) is None else f"{value:,.0f}"


def times(value):
    return "–" if known(value) is None else f"{value:.2f}×"


def size(value):
    """Bytes as people write them: 64 KiB."""
    value = known(value)
    if value is None:
        return "–"
    for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if value >= 2**power:
            scaled = value / 2**power
            return f"{scaled:.0f} {unit}" if scaled >= 100 or scaled == int(scaled) else f"{scaled:.2g} {unit}"
    return f"{value:g} B"
