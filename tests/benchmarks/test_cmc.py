"""Which comparisons the CMC benchmark makes, and where its bars stand; times are made up."""

from benchmarks.cmc import BARS, Entrant, rows_of
from benchmarks.workload import CASES, Case


def times(**seconds):
    """Three rounds, all alike, of entrants named framework__kind__formulation."""
    names = {name: name.replace("_fused", "-fused").split("__") for name in seconds}
    return {Entrant(*names[name]): (value,) * 3 for name, value in seconds.items()}


MADE_UP = times(
    torch__ours=2.0, torch__torchdiffeq=5.0, torch__hand_fused__flat=1.8, torch__hand_fused__two=1.5,
    jax__ours=1.0, jax__diffrax=4.0, jax__hand_fused__flat=1.0,
)  # fmt: skip


def test_the_fastest_formulation_by_hand_is_the_rival_and_each_framework_meets_its_own():
    rows = rows_of(MADE_UP, Case(128, 1), "training step", every=False)
    assert [(row.ours, row.rival) for row in rows] == [
        ("torch ours", "torch hand-fused, two"),
        ("torch ours", "torch torchdiffeq"),
        ("jax ours", "jax hand-fused, flat"),
        ("jax ours", "jax diffrax"),
    ]
    assert [(row.ratio.median, row.verdict) for row in rows] == [
        (0.75, "met"),
        (2.5, "missed"),
        (1.0, "met"),
        (4.0, "no bar"),
    ]
    assert len(rows_of(MADE_UP, Case(128, 1), "training step", every=True)) == 5


def test_bars_are_on_the_training_step_alone():
    assert {row.verdict for row in rows_of(MADE_UP, Case(1024, 5), "forward", every=False)} == {"no bar"}


def test_every_bar_names_a_case_that_is_run():
    assert {case for _, _, case in BARS} <= {str(case) for case in CASES}
