# SPDX-License-Identifier: GPL-2.0-or-later
"""Results as a table on the screen, as bench.json, and as a plot a work."""

import json
import os
import statistics

import svg

COLUMNS = "{:<26} {:<16} {:>12} {:>25} {:>3}  {}"


def number(value):
    """Three digits that count, and thousands apart."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def table(results):
    yield COLUMNS.format("figure", "system", "median", "min .. max", "n", "unit; ratio to")
    for work in results.works:
        yield ""
        for figure, system, series, peers in results.rows(work):
            values = list(series.values())
            ratios = ", ".join(f"{against:.2f} {peer}" for peer, against in peers if against is not None)
            yield COLUMNS.format(figure.name, system, number(statistics.median(values)),
                                 f"{number(min(values))} .. {number(max(values))}", len(values),
                                 figure.unit + (f"; {ratios}" if ratios else ""))
    for work, system, at, why in results.failures:
        yield f"FAILED {work}, {system}, round {at + 1}: {why}"


def write(results, directory):
    os.makedirs(os.path.join(directory, "bench"), exist_ok=True)
    with open(os.path.join(directory, "bench.json"), "w", encoding="utf-8") as file:
        json.dump(list(results.objects()), file, indent=1)
        file.write("\n")
    for work in results.works:
        panels = {}
        for figure, system, series, _ in results.rows(work):
            title = f"{figure.name} ({figure.unit}{', less is better' if figure.fewer_is_better else ''})"
            panels.setdefault(title, []).append((system, list(series.values())))
        if panels:
            with open(os.path.join(directory, "bench", f"{work.name}.svg"), "w", encoding="utf-8") as file:
                file.write(svg.plot(work.name, panels, number))
