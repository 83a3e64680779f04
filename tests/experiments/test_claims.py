"""Claims: which cells they read, paired statistics, verdicts; and results on disk."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from cortexspec.analysis.model import ClaimModel
from cortexspec.diagnostics import SpecError
from cortexspec.experiments.cells import CellStore, Result, address
from cortexspec.experiments.claim import CellKey, Grid, GridAxis, judge, needed_cells
from cortexspec.experiments.progress import Lines
from cortexspec.experiments.report import Measured, figure
from cortexspec.experiments.reproduce import Task
from cortexspec.experiments.session import Choice, read_experiments
from cortexspec.experiments.statistics import Spread, Verdict, judge_figure, judge_order
from cortexspec.expressions.parse import parse_expression
from cortexspec.runtime.check import check_file
from cortexspec.runtime.files import write_whole

GRID = Grid(
    "mnist",
    (GridAxis(("regions",), ((1,), (2,), (3,))),),
    seeds=(1, 2, 3),
    variants=("flat",),
    measures=("accuracy", "size"),
)


def claim(value: str, **parts: str | bool) -> ClaimModel:
    trees = {name: parse_expression(text) if isinstance(text, str) else None for name, text in parts.items()}
    return ClaimModel(
        "text", "where", parse_expression(value), trees.get("published"), trees.get("within"), bool(parts.get("relative")),
        trees.get("of"), "",
    )  # fmt: skip


def table(key: CellKey, measure: str) -> np.ndarray:
    regions = dict(key.point)["regions"]
    if measure == "size":
        return np.full(3, 1000.0 * regions)
    noise = np.array([-0.001, 0.0, 0.001])
    return 0.9 + 0.02 * regions - (0.05 if key.variant == "flat" else 0) + noise


def judged(value: str, **parts: str | bool):
    return judge(claim(value, **parts), {"mnist": GRID}, "mnist", table)


def test_an_inequality_holds_fails_or_is_undecided_on_paired_differences():
    (row,) = judged("accuracy[regions = 3] > accuracy[regions = 1]")
    assert row.verdict.word == "holds" and row.ours.mean == pytest.approx(0.04)
    (row,) = judged("accuracy[regions = 3] < accuracy[regions = 1]")
    assert row.verdict.word == "fails"
    assert judge_order([0.1, -0.1, 0.02], seeded=True).word == "undecided"
    assert judge_order([0.1], seeded=True).word == "undecided"
    assert judge_order([-0.1], seeded=False).word == "fails"


def test_an_axis_that_is_not_selected_gives_one_row_a_value():
    rows = judged("accuracy > accuracy[variant = flat]")
    assert [row.where for row in rows] == [{"regions": 1}, {"regions": 2}, {"regions": 3}]
    assert all(row.verdict.word == "holds" for row in rows)


def test_a_figure_is_judged_within_its_tolerance_relative_or_not():
    (row,) = judged("accuracy[regions = 1]", published="0.92", within="0.01")
    assert row.verdict.word == "holds" and row.published == 0.92
    (row,) = judged("accuracy[regions = 1]", published="0.8", within="0.01")
    assert row.verdict.word == "fails"
    (row,) = judged("size[regions = 2]", published="2050", within="0.05", relative=True)
    assert row.verdict.word == "holds" and row.tolerance == pytest.approx(102.5)
    (row,) = judged("accuracy[regions = 1]", published="0.8")
    assert row.verdict.word == "printed"


def test_a_unit_that_picks_a_cell_is_not_that_of_the_figure():
    grid = Grid("decay", (GridAxis(("τ",), ((1000.0,), (2000.0,))),), seeds=(1, 2), variants=(), measures=("size",))
    (row,) = judge(
        claim("size[τ = 1 s]", of="5", within="1"), {"decay": grid}, "decay", lambda key, measure: np.full(2, 5.0)
    )
    assert (row.verdict.word, row.unit, row.ours.mean, row.tolerance) == ("holds", "", 5, 1)


def test_sweeps_are_judged_on_means():
    (row,) = judged("increasing(accuracy, over = regions)")
    assert row.verdict.word == "holds"
    (row,) = judged("interior_maximum(accuracy, over = regions)")
    assert row.verdict.word == "fails"
    (row,) = judged("argmax(accuracy, over = regions)", published="3", within="0.5")
    assert row.verdict.word == "holds"


def test_the_largest_of_a_sweep_is_compared_seed_by_seed():
    (row,) = judged("accuracy[regions = 1] < 0.99*max(accuracy, over = regions)")
    assert row.verdict.word == "holds" and row.sides == pytest.approx((0.92, 0.99 * 0.96))
    (row,) = judged("min(accuracy, over = regions) > accuracy[regions = 2]")
    assert row.verdict.word == "fails" and row.ours.deviation == 0
    cells = needed_cells(claim("max(accuracy, over = regions)"), {"mnist": GRID}, "mnist")
    assert [dict(cell.point)["regions"] for cell in cells] == [1, 2, 3]


def test_a_tuning_curve_is_taken_neuron_by_neuron_over_an_axis_of_directions():
    directions = GridAxis(("θ",), tuple((place,) for place in ("0", "π/2", "π", "3*π/2")))
    grid = Grid("tuning", (directions,), seeds=(1, 2), variants=(), measures=("r",))
    curves = {"0": [4.0, 1.0], "π/2": [2.0, 1.0], "π": [0.0, 1.0], "3*π/2": [2.0, 1.0]}

    def lookup(key: CellKey, measure: str) -> np.ndarray:
        return np.array([curves[dict(key.point)["θ"]]] * 2)  # [seed, neuron]

    for value, wanted in {
        "mean(r, over = θ)": 1.5,  # of two neurons
        "max(selectivity(r, over = θ))": 0.5,
        "median(selectivity(r, over = θ))": 0.25,
        "quantile(selectivity(r, over = θ), 0.75)": 0.375,
        "max(lagged_product(r, over = θ, lag = 0))": 6,
        "max(lagged_product(r, over = θ, lag = 1))": 4,
    }.items():
        (row,) = judge(claim(value), {"tuning": grid}, "tuning", lookup)
        assert row.ours.mean == pytest.approx(wanted)


def test_median_and_quantile_leave_out_what_is_no_number_but_no_run_that_diverged():
    grid = Grid("g", (), seeds=(1, 2), variants=(), measures=("f", "a", "b"))
    nan = np.nan
    arrays = {"f": [[nan, 1.0, 4.0, 2.0], [3.0, nan, nan, 5.0]], "a": [nan, 1.0], "b": [2.0, 3.0]}
    wanted = {
        "median(f)": 3, "quantile(f, 0.75)": 3.75, "quantile(f, 0)": 2, "quantile(f, 1)": 4.5,
        "max(f)": nan, "mean(f)": nan, "median(a, b)": nan, "median(a)": nan,
    }  # fmt: skip
    for value, mean in wanted.items():
        (row,) = judge(claim(value), {"g": grid}, "g", lambda key, measure: np.array(arrays[measure]))
        np.testing.assert_allclose(row.ours.mean, mean, err_msg=value)
    arrays["f"][0] = [np.inf, nan, 1.0, np.inf]
    (row,) = judge(claim("min(median(f), 9)"), {"g": grid}, "g", lambda key, measure: np.array(arrays[measure]))
    np.testing.assert_allclose(row.ours.mean, (9 + 4) / 2)
    arrays["f"][0] = [nan] * 4
    (row,) = judge(claim("median(f)"), {"g": grid}, "g", lambda key, measure: np.array(arrays[measure]))
    assert np.isnan(row.ours.mean)


def test_the_vertex_of_a_sweep_lies_between_its_places_seed_by_seed():
    def vertex(curves: dict[int, list[float]]) -> tuple[float, float]:
        grid = Grid("g", (GridAxis(("d",), tuple((place,) for place in curves)),), (1, 2), (), ("f",))
        (row,) = judge(
            claim("vertex(f, over = d)"), {"g": grid}, "g", lambda key, measure: np.array(curves[dict(key.point)["d"]])
        )
        return row.ours.mean, row.ours.deviation

    bowls = {d: [-((np.log(d) - np.log(peak)) ** 2) for peak in (2.5, 3.5)] for d in (1, 2, 4, 8)}
    assert vertex(bowls) == pytest.approx((3, np.std([2.5, 3.5], ddof=1)))
    assert vertex({1: [3, 3], 2: [2, 2], 4: [0, 0]}) == pytest.approx((1, 0))  # at an end: the end itself
    assert vertex({1: [0, 0], 2: [5, 1], 4: [0, 9]})[0] == pytest.approx(4)  # the largest mean is at an end
    assert vertex({1: [0, 0], 2: [5, 1], 4: [0, 4]}) == pytest.approx((3, np.sqrt(2)))  # no further than a neighbour


def test_what_is_true_of_each_seed_is_judged_of_all_of_them():
    (row,) = judged("accuracy[regions = 1] > 0.9195 or diverged(accuracy[regions = 1])")
    assert (row.verdict.word, row.verdict.reason, row.ours.mean) == (
        "fails",
        "true in 2 of 3 seeds",
        pytest.approx(2 / 3),
    )
    (row,) = judged("accuracy[regions = 1] > 0.9 and not diverged(accuracy[regions = 1])")
    assert (row.verdict.word, row.verdict.reason) == ("holds", "true in 3 of 3 seeds")


def test_the_worst_seed():
    (row,) = judged("min(accuracy[regions = 1], over = seed) > 0.9")
    assert row.verdict.word == "holds" and row.sides == pytest.approx((0.919, 0.9))
    (row,) = judged("max(accuracy[regions = 1], over = seed) < 0.9205")
    assert row.verdict.word == "fails" and "exact" in row.verdict.reason


def test_a_claim_names_the_cells_it_needs():
    cells = needed_cells(
        claim("accuracy[regions = 3] > accuracy[regions = 1, variant = flat]"), {"mnist": GRID}, "mnist"
    )
    assert [(cell.variant, cell.point) for cell in cells] == [("base", (("regions", 3),)), ("flat", (("regions", 1),))]


@pytest.mark.parametrize(
    "value", ["nothing > 1", "accuracy[variant = other] > 0", "accuracy[regions = 9] > 0", "open(1) > 0"]
)
def test_a_claim_that_cannot_be_read_says_so(value: str):
    with pytest.raises(SpecError) as caught:
        judged(value)
    assert caught.value.diagnostics[0].code == "CS921"


def test_what_is_measured_is_a_row_a_cell_in_tables_that_fit():
    found = Measured(
        ("variant", "seeds", "f", "gain"), 2, (("base", "3", "0.51 ± 0.1", "2"), ("calm", "3", "0.4", "1"))
    )
    assert found.parts(80) == [found]
    narrow = found.parts(30)
    assert [one.headings for one in narrow] == [("variant", "seeds", "f"), ("variant", "seeds", "gain")]
    assert [one.rows[1] for one in narrow] == [("calm", "3", "0.4"), ("calm", "3", "1")]
    assert all(one.labels == 2 for one in narrow)


def test_the_interval_is_students():
    spread = Spread.of([1.0, 2.0, 3.0])
    assert spread.error == pytest.approx(1 / math.sqrt(3))
    assert spread.half_width == pytest.approx(4.302652729911275 / math.sqrt(3))
    assert judge_figure([1.0, 1.1, 0.9], 1.0, 0.5, seeded=True).word == "holds"
    assert judge_figure([1.0, 1.1, 0.9], 1.0, 0.05, seeded=True).word == "undecided"


def test_a_result_is_found_by_what_it_is_made_from(tmp_path: Path):
    store = CellStore(tmp_path)
    key = address({"spec": "abc", "seed": 1})
    assert key == address({"seed": 1, "spec": "abc"}) != address({"seed": 2, "spec": "abc"})
    assert store.find(key) is None
    result = Result(
        {"accuracy": 0.9, "bad": math.nan, "spectrum": np.array([-1 + 2j, 3])}, 1.5, history=({"loss": 2.0},)
    )
    store.keep(key, {"seed": 1}, result)
    found = store.find(key)
    assert found is not None and found.measures["accuracy"] == 0.9 and math.isnan(found.measures["bad"])
    assert found.measures["spectrum"] == [-1 + 2j, 3 + 0j] and found.history == ({"loss": 2.0},)
    store.path(key).write_text(json.dumps({"version": 0}))
    with pytest.raises(SpecError) as caught:
        store.find(key)
    assert caught.value.diagnostics[0].code == "CS922"


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a" / "result.json"
    write_whole(path, b"old")

    def crash(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", crash)
    with pytest.raises(SpecError, match=r"result\.json` cannot be written: disk full"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old" and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (judge_order([0.5, math.nan, 0.4], True), "no value in 1 of 3 seeds"),
        (judge_order([math.nan], False), "no value in the one seed"),
        (judge_figure([math.nan, math.nan], 1.0, 0.5, True), "no value in 2 of 2 seeds"),
    ],
)
def test_a_seed_without_a_value_decides_nothing(verdict: Verdict, said: str) -> None:
    assert verdict.word == "undecided" and said in verdict.reason


def test_counts_are_shown_in_full(tmp_path: Path):
    assert [figure(x) for x in (150528.0, 150528.5, 12.0, math.inf, math.nan)] == [
        "150,528",
        "1.505e+05",
        "12",
        "inf",
        "nan",
    ]
    lines: list[str] = []
    Lines(lines.append).ended(
        Task(Choice(tmp_path), CellKey("e", "base", ()), 1, "", tmp_path), Result({"size": 150528}), "kept"
    )
    assert lines == ["[1/0] e base seed=1: size 150,528 (kept)"]


def test_a_dotted_name_is_varied_and_selected(tmp_path: Path):
    file = tmp_path / "model.cortex"
    file.write_text(DOTTED, encoding="utf-8")
    (experiment,) = read_experiments(Choice(file, "interpreter")).values()
    assert [dict(point)["a.b"] for point in experiment.grid.points()] == [0.1, 1, 10]
    needed = [dict(key.point)["a.b"] for key in needed_cells(experiment.claims[0], {"e": experiment.grid}, "e")]
    assert needed == [10, 0.1]
    rows = judge(
        experiment.claims[0], {"e": experiment.grid}, "e", lambda key, name: np.array([dict(key.point)["a.b"]])
    )
    assert [row.verdict.word for row in rows] == ["holds"]


def test_a_circuit_that_is_not_there_is_told(tmp_path: Path):
    file = tmp_path / "model.cortex"
    file.write_text(DOTTED.replace("e of net", "e of nets"), encoding="utf-8")
    with pytest.raises(SpecError, match="there is no circuit `nets`"):
        read_experiments(Choice(file, "interpreter"))


def test_what_is_varied_is_a_number_below_0_too(tmp_path: Path):
    file = tmp_path / "model.cortex"
    file.write_text(DOTTED.replace("logspace(0.1, 10, count = 3)", "[-2, 0.1, 10]"), encoding="utf-8")
    (experiment,) = read_experiments(Choice(file, "interpreter")).values()
    assert [row[0] for row in experiment.grid.axes[0].rows] == [-2, 0.1, 10]


def test_a_dotted_name_is_selected_at_a_place_where_it_is(tmp_path: Path):
    file = tmp_path / "model.cortex"
    file.write_text(DOTTED.replace("[a.b = 0.1]", "[a.b = 3]"), encoding="utf-8")
    (found,) = check_file(file).diagnostics
    assert found.code == "CS921" and "`a.b` is never varied to this value" in found.message


DOTTED = """
neuron unit {
  param b = 0
  state x = 0
  x <- b
  output x
}

circuit net {
  population a[2] : unit
}

experiment e of net {
  simulate { duration = 5; dt = 1 }
  measure level = mean(a.x)
  vary { a.b = logspace(0.1, 10, count = 3) }
  claim "more" from "here": level[a.b = 10] > level[a.b = 0.1]
}
"""
