# SPDX-License-Identifier: GPL-2.0-or-later
"""What was measured, and the statistics of it. Nothing here touches the system.

A series is a figure of a system: one value a round. Series are compared round by round, since what
else the machine does changes from minute to minute: the ratio is the median of the rounds' ratios.
"""

import statistics


class Results:
    def __init__(self, works):
        self.works = works
        self.samples = {}  # (figure, system) -> {round: value}
        self.failures = []  # (work, system, round, why)

    def add(self, figure, system, number, value):
        self.samples.setdefault((figure, system), {})[number] = value

    def fail(self, work, system, number, why):
        self.failures.append((work, system, number, why))

    def systems(self, figure):
        return [system for name, system in self.samples if name == figure.name
                and not (figure.minus_none and system == "none")]

    def series(self, figure, system):
        """{round: value}; what is measured against no firewall only has rounds where both stand."""
        values = self.samples.get((figure.name, system), {})
        if not figure.minus_none:
            return values
        none = self.samples.get((figure.name, "none"), {})
        return {number: value - none[number] for number, value in values.items() if number in none}

    def rows(self, work):
        """(figure, system, series, [(peer, ratio)]) of all figures of a work."""
        for figure in work.figures:
            systems = self.systems(figure)
            for system in systems:
                series = self.series(figure, system)
                if series:
                    peers = [(peer, ratio(series, other))
                             for peer, other in self._peers(work, figure, system, systems)]
                    yield figure, system, series, peers

    def _peers(self, work, figure, system, systems):
        if figure.baseline:
            base = next(other for other in work.figures if other.name == figure.baseline)
            yield f"{base.name}/{system}", self.series(base, system)
            return
        for peer in systems:
            if peer != system and (peer == "none" or system == "sallyport"):
                yield peer, self.series(figure, peer)

    def objects(self):
        """As in bench.json."""
        for work in self.works:
            for figure, system, series, peers in self.rows(work):
                values = list(series.values())
                for peer, against in peers or [(None, None)]:
                    yield {"name": f"{figure.name}/{system}", "value": statistics.median(values),
                           "unit": figure.unit, "peer": peer, "ratio": against,
                           "min": min(values), "max": max(values), "rounds": len(values)}


def ratio(series, other):
    """The median of the rounds' ratios; None where there is none that means anything."""
    ratios = [value / other[number] for number, value in series.items() if other.get(number, 0) > 0]
    return statistics.median(ratios) if ratios else None
