"""SVG by gnuplot, for the inside of a page: colours are the page's, and no text of others ever reaches gnuplot.

Labels go through it as tokens and are put in afterwards, escaped. Colours do the same as shades that gnuplot writes back: they
become variables of the page's style sheet, so that one picture is right on a light and on a dark page and on paper.
"""
import math
import re
import shutil
import subprocess

from harness.page import Html, escape, number, tag

COLOURS = 8
SHAPES = (7, 5, 9, 13, 11, 6, 4, 8)     # of gnuplot's points; a colour is never all that tells two apart
DASHES = ("1", "'-'", "'.'", "'-.'", "'--..'", "'_'", "'_.'", "'-..'")
WIDTH = 800
LIMIT = 30
LONGEST = 40

HEAD = """set terminal svg size {width},{height} font "sans,13" noenhanced background "#010003" name "{name}"
set encoding utf8
set border {border} lc rgb "#010002" lw 1
set tics nomirror textcolor rgb "#010001"
set {grid} lc rgb "#010002" lw 0.7 dt solid
unset key
set lmargin at screen {left}
set rmargin at screen {right}
set bmargin at screen {bottom}
set tmargin at screen {top}
"""
SHADES = {"1,0,1": "--ink-2", "1,0,2": "--line", "1,0,3": "none", "1,0,4": "--bad", "1,0,5": "--ink",
          **{f"2,0,{index + 1}": f"--c{index + 1}" for index in range(COLOURS)}}


class NoPlot(Exception):
    """There is no picture; the text says why and what helps."""


def available():
    return shutil.which("gnuplot") is not None


def colour(index):
    return f'rgb "#0200{index % COLOURS + 1:02x}"'


def _run(script):
    if not available():
        raise NoPlot("gnuplot is not installed (Debian: apt-get install gnuplot-nox)")
    try:
        done = subprocess.run(["gnuplot", "-d", "-"], input=script, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        raise NoPlot(f"gnuplot did not end within {LIMIT} seconds") from None
    if done.returncode != 0 or "</svg>" not in done.stdout:
        raise NoPlot(f"gnuplot ended with {done.returncode}: {' '.join(done.stderr.split())[:300]}")
    return done.stdout


def _colours(svg):
    def named(found):
        shade = SHADES.get(re.sub(r"\s", "", found[2]))
        if shade is None:
            return found[0]
        return f'style="{found[1]}:{shade if shade == "none" else f"var({shade})"}"'

    svg = re.sub(r"""\b(stroke|fill|color)\s*=\s*['"]rgb\(([\d,\s]+)\)['"]""", named, svg)
    svg = re.sub(r"""fill\s*=\s*['"]#010003['"]""", 'fill="none"', svg, flags=re.I)
    return svg.replace('fill="black"', 'style="fill:var(--ink-2)"')


def _clean(svg, name, title, description, labels):
    """What a page needs of gnuplot's answer: no prologue, names of its own, a title and a description of ours."""
    svg = svg[svg.index("<svg"):]
    body = svg[svg.index(">") + 1:svg.rindex("</svg>")]
    body = re.sub(r"<filter.*?</filter>|<desc>.*?</desc>|<title>.*?</title>", "", body, flags=re.S)
    body = re.sub(r"<use [^>]*(gpDot|color='#010003')[^>]*/>", "", body)  # what would be wiped behind a point
    body = re.sub(r"<g [^>]*>\s*</g>\n?", "", body)
    body = re.sub(r"""\bid\s*=\s*(['"])(.*?)\1""", lambda found: f'id="{name}-{found[2]}"', body)
    body = re.sub(r"""xlink:href\s*=\s*(['"])#(.*?)\1""", lambda found: f'href="#{name}-{found[2]}"', body)
    body = re.sub(r"""\s*font-family\s*=\s*(['"]).*?\1""", "", body)
    body = _colours(body)
    body = re.sub(r"@(\d+)@", lambda found: escape(labels[int(found[1])]), body)
    box = re.search(r'viewBox="([\d\s.]+)"', svg)[1]
    return Html(f'<svg viewBox="{box}" role="img" aria-labelledby="{name}-t {name}-d" xmlns="http://www.w3.org/2000/svg">'
                f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(description)}</desc>{body}</svg>')


class Labels:
    """Texts that are put in once gnuplot is done."""

    def __init__(self):
        self.texts = []

    def token(self, text, longest=LONGEST):
        text = str(text)
        self.texts.append(text if len(text) <= longest else text[:longest - 1] + "…")
        return f"'@{len(self.texts) - 1}@'"


def legend(entries, swatches=False):
    """Above the plot, in the page's own text: [(label, index of its colour)], as lines with their points or as `swatches`."""
    shapes = ('<circle cx="16" cy="7" r="4"/>', '<rect x="12" y="3" width="8" height="8"/>', '<path d="M16 2l5 9h-10z"/>',
              '<path d="M16 1l5 6-5 6-5-6z"/>', '<path d="M16 12l5-9h-10z"/>')
    items = []
    for label, index in entries:
        shade = f"var(--c{index % COLOURS + 1})"
        if swatches:
            items.append(tag("li", Html(f'<span class="swatch" style="background:{shade}"></span>'), " ", label))
            continue
        kind = "open" if index % COLOURS >= len(shapes) else "full"
        mark = Html(f'<svg class="mark" viewBox="0 0 32 14" aria-hidden="true" style="color:{shade}"><path d="M0 7h32" '
                    f'stroke="currentColor" stroke-width="2"/><g class="{kind}" fill="currentColor">'
                    f'{shapes[index % COLOURS % len(shapes)]}</g></svg>')
        items.append(tag("li", mark, " ", label))
    return tag("ul", *items, class_="legend")


def _head(name, height, border, grid, left=0.1, right=0.97, bottom=None, top=None):
    return HEAD.format(width=WIDTH, height=height, name=name, border=border, grid=grid, left=left, right=right,
                       bottom=52 / height if bottom is None else bottom, top=1 - 14 / height if top is None else top)


def lines(name, title, description, series, across, up, ticks=None, floor=0):
    """series: [(index of the colour, [(x, y, lowest, highest)])]; x is on a scale of powers. ticks: [(text, x)]."""
    labels, height = Labels(), 380
    script = _head(name, height, 3, "grid ytics")
    xs = sorted({point[0] for _, points in series for point in points})
    top = max(point[3] for _, points in series for point in points) or 1
    script += "set logscale x 2\n" if len(xs) > 1 and xs[0] > 0 and xs[-1] / xs[0] > 3 else ""
    step = 2 if len(xs) > 1 and xs[-1] / xs[0] > 3 else 0.5
    low, high = (xs[0] / step**0.4, xs[-1] * step**0.4) if step == 2 else (xs[0] - step / 2, xs[-1] + step / 2)
    script += f"set xrange [{low}:{high}]\nset yrange [{floor}:{top * 1.08}]\n"
    script += f"set xlabel {labels.token(across, 100)} textcolor rgb '#010001' offset 0,0.2\n"
    script += f"set ylabel {labels.token(up, 60)} textcolor rgb '#010001' offset 0.6,0\n"
    marks = ", ".join(f"{labels.token(text)} {x}" for text, x in (ticks or [(f"{x:g}", x) for x in xs]))
    script += f"set xtics ({marks})\nset mxtics 1\n"
    plots = []
    for order, (index, points) in enumerate(series):
        rows = "\n".join(" ".join(repr(float(value)) for value in point) for point in sorted(points))
        script += f"$d{order} << END\n{rows}\nEND\n"
        plots += [f"$d{order} using 1:2:3:4 with yerrorbars lw 1 pt 0 lc {colour(index)}",
                  f"$d{order} using 1:2 with linespoints lw 2 dt {DASHES[index % len(DASHES)]} pt {SHAPES[index % len(SHAPES)]} "
                  f"ps 0.7 lc {colour(index)}"]
    return _clean(_run(script + "plot " + ", ".join(plots) + "\n"), name, title, description, labels.texts)


def _ticks(most):
    """Round numbers from 0 to `most`, six or fewer."""
    power = 10 ** math.floor(math.log10(most / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if most / (power * factor) <= 5)
    return [step * count for count in range(int(most / step) + 1)]


def bars(name, title, description, rows, across, digits=3):
    """rows: [(label, [(value, index of the colour)])], the parts of one bar behind each other; its sum stands at its end."""
    labels, height = Labels(), 66 + 34 * len(rows)
    most = max(sum(value for value, _ in parts) for _, parts in rows) or 1
    script = _head(name, height, 1, "grid xtics", left=0.27)
    script += f"set xrange [0:{most * 1.12}]\nset yrange [{len(rows) - 0.4}:-0.6]\n"
    script += "set xtics (" + ", ".join(f"{labels.token(f'{tick:,.10g}')} {tick}" for tick in _ticks(most)) + ")\n"
    script += f"set xlabel {labels.token(across, 100)} textcolor rgb '#010001' offset 0,0.2\n"
    script += "set ytics scale 0 (" + ", ".join(f"{labels.token(text, 26)} {at}" for at, (text, _) in enumerate(rows)) + ")\n"
    boxes = {}
    for at, (_, parts) in enumerate(rows):
        left = 0.0
        for value, index in parts:
            boxes.setdefault(index, []).append(f"{left + value / 2} {at} {left} {left + value} {at - 0.3} {at + 0.3}")
            left += value
        script += f"set label {labels.token(number(left, digits))} at {left},{at} left offset 0.6,0 textcolor rgb '#010005'\n"
    for index, found in boxes.items():
        script += f"$d{index} << END\n" + "\n".join(found) + "\nEND\n"
    script += "set style fill solid 1 noborder\n"
    plots = [f"$d{index} using 1:2:3:4:5:6 with boxxyerror lc {colour(index)}" for index in boxes]
    return _clean(_run(script + "plot " + ", ".join(plots) + "\n"), name, title, description, labels.texts)


def ranges(name, title, description, rows, across):
    """rows: [(label, median, lowest, highest, promised or null, kept?)]: a point on its spread, on a scale of powers."""
    labels, height = Labels(), 72 + 30 * len(rows)
    values = [value for row in rows for value in row[1:5] if value] + [1.0]
    script = _head(name, height, 1, "grid xtics", left=0.44)
    low, high = min(values) / 1.15, max(values) * 1.15
    script += f"set logscale x 2\nset xrange [{low}:{high}]\nset yrange [{len(rows) - 0.4}:-0.6]\n"
    script += f"set xlabel {labels.token(across, 100)} textcolor rgb '#010001' offset 0,0.2\n"
    wide = (0.0625, 0.125, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 8, 16, 32, 64)
    near = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.4, 1.6, 1.8, 2)
    ticks = [value for value in (wide if high / low > 4 else near) if low <= value <= high]
    script += "set xtics (" + ", ".join(f"'{value:g}×' {value}" for value in ticks) + ")\n"
    script += "set ytics scale 0 (" + ", ".join(f"{labels.token(row[0])} {at}" for at, row in enumerate(rows)) + ")\n"
    script += "set arrow from 1,graph 0 to 1,graph 1 nohead lw 1.2 lc rgb '#010001'\n"
    groups = {"good": [], "bad": [], "plain": [], "promised": []}
    for at, (_, median, low, high, promised, kept) in enumerate(rows):
        groups["plain" if kept is None else "good" if kept else "bad"].append(f"{median} {at} {low} {high}")
        if promised:
            groups["promised"].append(f"{promised} {at} {at - 0.34} {at + 0.34}")
    style = {"good": f"pt 7 ps 0.8 lw 2 lc {colour(0)}", "bad": "pt 5 ps 0.9 lw 2 lc rgb '#010004'",
             "plain": "pt 6 ps 0.8 lw 2 lc rgb '#010001'"}
    plots = []
    for kind, found in groups.items():
        if not found:
            continue
        script += f"${kind} << END\n" + "\n".join(found) + "\nEND\n"
        plots.append(f"${kind} using 1:2:3:4 with xerrorbars {style[kind]}" if kind != "promised" else
                     "$promised using 1:2:3:4 with yerrorbars pt 0 lw 2.5 lc rgb '#010005'")
    return _clean(_run(script + "plot " + ", ".join(plots) + "\n"), name, title, description, labels.texts)
