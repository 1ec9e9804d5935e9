# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run makes of its samples: statistics, bench.json, plots. No network, no privilege."""

import json
import os
import sys
import xml.etree.ElementTree as ElementTree

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))

import report
import svg
from results import Results, ratio
from systems import Failed
from work import Figure, Work, scenes
from work_http import rate_of

SPEED = Figure("speed", "requests/s")
FULL = Figure("speed-full", "requests/s", baseline="speed")
ADDED = Figure("added", "us", fewer_is_better=True, minus_none=True)
WORK = Work("http", (SPEED, FULL, ADDED), scenes("none", "conntrack", "sallyport"), None)


def results(**series):
    """results(speed__none=[...]): a value a round; None for a round that failed."""
    made = Results([WORK])
    for name, values in series.items():
        figure, system = name.split("__")
        for number, value in enumerate(values):
            if value is not None:
                made.add(figure, system, number, value)
    return made


def objects_of(made, name):
    return {entry["peer"]: entry for entry in made.objects() if entry["name"] == name}


def test_the_ratio_is_the_median_of_the_rounds_ratios_not_the_ratio_of_the_medians():
    assert ratio({0: 10, 1: 40, 2: 30}, {0: 10, 1: 80, 2: 20}) == 1.0


def test_only_rounds_that_both_have_count():
    assert ratio({0: 10, 2: 30}, {1: 80, 2: 20}) == 1.5
    assert ratio({0: 10}, {1: 80}) is None


def test_nothing_is_compared_with_zero():
    assert ratio({0: 10}, {0: 0}) is None


def test_an_object_has_exactly_the_members_that_readers_expect():
    entries = objects_of(results(speed__none=[10, 30, 20], speed__sallyport=[9, 28, 20]), "speed/sallyport")
    assert entries["none"] == {"name": "speed/sallyport", "value": 20, "unit": "requests/s", "peer": "none",
                               "ratio": pytest.approx(28 / 30), "min": 9, "max": 28, "rounds": 3}


def test_sallyport_is_compared_with_all_and_a_peer_with_no_firewall_only():
    made = results(speed__none=[10], speed__conntrack=[8], speed__sallyport=[9])
    assert set(objects_of(made, "speed/sallyport")) == {"none", "conntrack"}
    assert set(objects_of(made, "speed/conntrack")) == {"none"}
    assert objects_of(made, "speed/none")[None]["ratio"] is None


def test_a_figure_with_a_baseline_is_compared_with_it():
    made = results(speed__sallyport=[10, 20], **{"speed-full__sallyport": [9, 18]})
    assert objects_of(made, "speed-full/sallyport")["speed/sallyport"]["ratio"] == pytest.approx(0.9)


def test_an_added_figure_is_what_is_more_than_without_a_firewall_in_the_same_round():
    made = results(added__none=[10, 30, None], added__sallyport=[15, 31, 99])
    entry, = objects_of(made, "added/sallyport").values()
    assert (entry["value"], entry["min"], entry["max"], entry["rounds"]) == (3, 1, 5, 2)
    assert not objects_of(made, "added/none")


def test_a_round_that_failed_is_no_figure():
    made = results(speed__none=[10, 20], speed__sallyport=[None, 19])
    made.fail("http", "sallyport", 0, "wrk: Socket errors: connect 3")
    assert objects_of(made, "speed/sallyport")["none"]["rounds"] == 1
    assert any("FAILED http, sallyport, round 1" in line for line in report.table(made))


@pytest.mark.parametrize("trouble", [
    "  Socket errors: connect 0, read 3, write 0, timeout 0\n", "  Non-2xx or 3xx responses: 7\n"])
def test_a_run_of_wrk_with_errors_is_no_figure(trouble):
    said = "  40000 requests in 2.00s, 6.64MB read\n{}Requests/sec:  20000.50\n"
    assert rate_of(said.format("")) == 20000.5
    with pytest.raises(Failed):
        rate_of(said.format(trouble))


def test_a_run_of_wrk_without_an_answer_is_no_figure():
    with pytest.raises(Failed):
        rate_of("  0 requests in 2.00s, 0.00B read\nRequests/sec:      0.00\n")


def test_what_is_written_can_be_read(tmp_path):
    report.write(results(speed__none=[10, 30], speed__sallyport=[9, 28], added__none=[4], added__sallyport=[1]),
                 str(tmp_path))
    assert isinstance(json.loads((tmp_path / "bench.json").read_text()), list)
    drawn = ElementTree.parse(tmp_path / "bench" / "http.svg").getroot()
    assert len(drawn.findall("{http://www.w3.org/2000/svg}circle")) == 5


def test_a_plot_escapes_what_it_names():
    ElementTree.fromstring(svg.plot("a & b", {"<c>": [("none", [0, 0])]}, str))
