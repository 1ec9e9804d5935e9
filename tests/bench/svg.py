# SPDX-License-Identifier: GPL-2.0-or-later
"""A plot as SVG: a panel a figure, a bar a system up to its median, a dot a round."""

import statistics
from xml.sax.saxutils import escape

WIDTH, LABEL, BAR, GAP, HEAD = 720, 130, 22, 6, 34
SPAN = WIDTH - LABEL - 110
COLOURS = {"none": "#9aa5b1", "conntrack": "#4c78a8", "conntrack-limit": "#72a0c1", "ufw": "#b279a2",
           "queue": "#e0a458", "sallyport": "#2a9d5c"}


def text(x, y, words, size=13, anchor="start", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{escape(words)}</text>')


def bar(y, system, values, low, high, label):
    def place(value):
        return LABEL + (value - low) / (high - low) * SPAN
    zero, median = place(0), place(statistics.median(values))
    middle = y + BAR / 2
    yield text(LABEL - 8, middle + 4, system, anchor="end")
    yield (f'<rect x="{min(zero, median):.1f}" y="{y:.1f}" width="{abs(median - zero):.1f}" height="{BAR}" '
           f'fill="{COLOURS.get(system, "#888888")}"/>')
    for value in values:
        yield f'<circle cx="{place(value):.1f}" cy="{middle:.1f}" r="2.5" fill="#111111" fill-opacity="0.55"/>'
    yield text(place(max(max(values), 0)) + 8, middle + 4, label, size=12)


def panel(top, title, rows, number):
    """The lines of one panel, and where it ends."""
    every = [value for _, values in rows for value in values]
    low, high = min(0, *every), max(0, *every)
    high = high if high > low else low + 1
    lines, y = [text(10, top + 22, title, weight="bold")], top + HEAD
    for system, values in rows:
        lines += bar(y, system, values, low, high, number(statistics.median(values)))
        y += BAR + GAP
    return lines, y + GAP


def plot(title, panels, number):
    """`panels`: {title: [(system, values)]}; `number` writes a value."""
    lines, y = [text(10, 28, title, size=18, weight="bold")], 36
    for name, rows in panels.items():
        more, y = panel(y, name, rows, number)
        lines += more
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 10}" '
            f'viewBox="0 0 {WIDTH} {y + 10}" font-family="sans-serif">\n'
            f'<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(lines) + "\n</svg>\n")
