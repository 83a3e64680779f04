"""Statistics and verdicts of the benchmarks, on numbers known beforehand."""

import json
import random
import time

import pytest

from benchmarks.measure import (
    Bar,
    Interval,
    Row,
    Timings,
    compare,
    exit_code,
    interleave,
    median_interval,
    pin_to_one_core,
    rows_as_json,
)


def row(median, low, high, bar=None):
    return Row("(1, 1)", "forward", "ours", "rival", 1.0, median, Interval(median, low, high), bar)


def test_the_interval_holds_the_median_of_the_ratios():
    draw = random.Random(1)
    ratios = [1.5 + draw.uniform(-0.1, 0.1) for _ in range(15)]
    interval = median_interval(ratios)
    assert interval.low <= interval.median <= interval.high
    assert interval.low >= 1.4 and interval.high <= 1.6
    assert median_interval([2.0] * 15) == Interval(2.0, 2.0, 2.0)


def test_the_interval_covers_the_true_median_about_95_times_in_100():
    draw = random.Random(2)
    covered = 0
    for repeat in range(200):
        interval = median_interval([draw.lognormvariate(0, 0.2) for _ in range(21)], resamples=400, seed=repeat)
        covered += interval.low <= 1.0 <= interval.high
    assert covered >= 180


@pytest.mark.parametrize(
    ("interval", "bar", "verdict"),
    [
        (Interval(0.80, 0.75, 0.84), Bar(0.85), "missed"),
        (Interval(0.80, 0.75, 0.86), Bar(0.85), "met"),
        (Interval(0.95, 0.90, 0.99), Bar(0.85), "met"),
        (Interval(1.30, 1.21, 1.40), Bar(1.2, "at most"), "missed"),
        (Interval(1.30, 1.19, 1.40), Bar(1.2, "at most"), "met"),
    ],
)
def test_a_bar_is_missed_only_where_the_whole_interval_is_on_the_wrong_side(interval, bar, verdict):
    assert bar.verdict(interval) == verdict


@pytest.mark.parametrize(
    ("median", "standing"), [(1.31, "faster"), (1.29, "tie"), (1.0, "tie"), (0.78, "tie"), (0.76, "slower")]
)
def test_below_1_3_either_way_is_a_tie(median, standing):
    assert row(median, median, median).standing == standing


def test_the_exit_code_is_1_only_for_a_missed_bar():
    met, missed, free = row(1.0, 0.9, 1.1, Bar(0.9)), row(0.5, 0.4, 0.6, Bar(0.9)), row(0.1, 0.1, 0.1)
    assert exit_code(r.verdict for r in (met, free)) == 0
    assert exit_code(r.verdict for r in (met, missed, free)) == 1


def test_ratios_pair_the_times_of_one_round():
    timings = Timings({"ours": (1.0, 2.0, 4.0), "rival": (3.0, 6.0, 12.0), "other": (9.0, 9.0, 9.0)})
    assert timings.ratios("rival", "ours") == (3.0, 3.0, 3.0)
    assert timings.fastest(["rival", "other"]) == "rival"
    found = compare(timings, "(1, 1)", "forward", "ours", "rival", Bar(3))
    assert (found.ratio.median, found.verdict, found.ours_ms) == (3.0, "met", 2000.0)


def test_every_program_is_timed_once_a_round_and_cpu_time_counts_work_not_sleep():
    def work():
        return sum(range(20_000))

    timings = interleave({"work": work, "sleep": lambda: time.sleep(0.002) or work()}, rounds=5, at_least=0.004)
    assert {name: len(seconds) for name, seconds in timings.seconds.items()} == {"work": 5, "sleep": 5}
    assert 0.5 < timings.median("sleep") / timings.median("work") < 2


def test_pinning_after_a_numerical_library_is_loaded_is_refused():
    import numpy  # noqa: F401

    with pytest.raises(RuntimeError, match="before numpy"):
        pin_to_one_core()


def test_json_has_each_row_with_its_verdict():
    told = json.loads(rows_as_json([row(0.5, 0.4, 0.6, Bar(0.9))], {"rounds": 15}, ratio=1.0))
    assert told["rows"][0]["verdict"] == "missed"
    assert told["rows"][0]["ratio"] == {"median": 0.5, "low": 0.4, "high": 0.6}
    assert (told["context"]["rounds"], told["ratio"]) == (15, 1.0)
