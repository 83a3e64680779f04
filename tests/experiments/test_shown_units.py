"""People read what is measured in a named unit; cells, JSON and Python have coherent values."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cortexspec.cli import app
from cortexspec.experiments import figures
from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.html_report import html
from cortexspec.experiments.portrait import draw_table
from cortexspec.experiments.progress import Lines
from cortexspec.experiments.report import claim_cells, figure, markdown, measured
from cortexspec.experiments.reproduce import Table, reproduce
from cortexspec.experiments.session import Choice
from cortexspec.experiments.shown_units import ShownUnits
from cortexspec.units import unit_of

CLI = CliRunner()
TEXT = """
neuron unit {
  param I = 20 mV  trainable
  param τ = 10 ms
  state v ~ normal(0 mV, 4 mV)
  v' = (I - v)/τ
  output v
}

circuit net {
  population a[4] : unit
  let D[a, a] = 3 um*distance(grid_of(4))
  let W[a, a] = 2 nS*(1 + distance(grid_of(4)))
}

experiment relaxed of net {
  simulate { duration = 20 ms; dt = 1 ms; trials = 2 }
  measure rate = mean(a.v)/20 mV/100 ms
  measure level = mean(a.v)
  measure share = mean(a.v)/20 mV
  measure variance = mean(a.v^2) - mean(a.v)^2
  measure each = mean(a.v, over = [trial, time])
  measure far = D
  measure weights = W
  vary { seed = 1..2 }
  variant stronger { a.I = 30 mV }
  claim "above" from "here": level > 0.005 V
  claim "of units" from "here": level/1 mV published 14 within 5
  claim "named in `for`" from "here": level published p within 0.004 V for p in [14 mV]
  claim "faster" from "here": rate[variant = stronger] > rate
  claim "and of another" from "here": rate > slow.rate/2
  claim "wider" from "here": variance[variant = stronger] > variance
  claim "of both" from "here": rate*level published 0.1 V/s
}

experiment slow of net {
  simulate { duration = 20 ms; dt = 1 ms }
  measure rate = mean(a.v)/20 mV/1 s
  vary { seed = 1..2 }
}

experiment searched of net {
  simulate { duration = 20 ms; dt = 1 ms }
  measure level = mean(a.v)
  train { parameters = [a.I]; maximize = level; optimizer = evolution(parents = 1, offspring = 2, step = 1); epochs = 1 }
  vary { seed = 1..1 }
  claim "high" from "here": level > 0.001 V
}
"""
HEADINGS = ("variant", "seeds", "rate (Hz)", "level (V)", "share", "variance (V^2)")
SHOWN = {"rate": 1e3, "level": 1e-3, "share": 1.0, "variance": 1e-6}


@pytest.fixture(scope="module")
def choice(tmp_path_factory: pytest.TempPathFactory) -> Choice:
    path = tmp_path_factory.mktemp("spec") / "model.cortex"
    path.write_text(TEXT, encoding="utf-8")
    return Choice(path, "interpreter", "float64")


@pytest.fixture(scope="module")
def found(choice: Choice) -> tuple[Table, list[str]]:
    lines: list[str] = []
    store = choice.file.parent / "results"
    return reproduce(choice, ["relaxed"], store=store, workers=0, watch=Lines(lines.append)), lines


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The figures by the names of their files, in the place of these."""
    import matplotlib.pyplot as plt

    drawn: dict[str, Any] = {}
    monkeypatch.setattr(figures, "written", lambda figure, path, **rest: drawn.setdefault(path.stem, figure) and path)
    yield drawn
    plt.close("all")


@pytest.mark.parametrize(
    ("unit", "written", "shown"),
    [
        ("kHz", (), "Hz"),
        ("kHz^2", (), "Hz^2"),
        ("kHz^(1/2)", (), "Hz^(1/2)"),
        ("kHz", ("1/s", "kHz"), "1/s"),
        ("kHz^2", ("mV", "kHz"), "kHz^2"),
        ("mV", (), "mV"),
        ("mV^2", ("uV",), "uV^2"),
        ("ms", ("Hz",), "ms"),
        ("mV/ms", ("mV", "Hz"), "mV/ms"),
        ("mV^2/ms^2", ("V/s",), "mV^2/ms^2"),
        ("1", ("deg", "Hz"), ""),
    ],
)
def test_it_is_what_claims_write_else_hertz_for_a_rate_else_the_coherent_name(
    unit: str, written: tuple[str, ...], shown: str
) -> None:
    units = ShownUnits({"x": unit_of(unit)}, written)
    assert units.of("x") == shown and units.of("y") == ""
    assert units.heading("x") == (f"x ({shown})" if shown else "x")


def test_tables_have_the_unit_in_the_heading_and_values_in_it(found: tuple[Table, list[str]]) -> None:
    table, _ = found
    rows = measured(table, "relaxed")
    assert rows is not None and rows.headings == HEADINGS
    for row, variant in zip(rows.rows, ("base", "stronger"), strict=True):
        for text, (measure, scale) in zip(row[2:], SHOWN.items(), strict=True):
            values = scale * table.measure(CellKey("relaxed", variant, ()), measure)
            assert text == f"{figure(values.mean())} ± {values.std(ddof=1):.2g}"
    assert 0.005 < table.measure(CellKey("relaxed", "base", ()), "rate").mean() < 0.01  # coherent: kHz
    text = markdown(table)
    assert f"| {' | '.join(HEADINGS)} |" in text and f"| {' | '.join(rows.rows[0])} |" in text


def test_a_line_a_cell_has_the_unit_after_each_value(found: tuple[Table, list[str]]) -> None:
    table, lines = found
    values = {name: scale * table.measure(CellKey("relaxed", "base", ()), name)[0] for name, scale in SHOWN.items()}
    said = {name: figure(value) for name, value in values.items()}
    (line,) = [line for line in lines if "relaxed base seed=1" in line]
    assert sorted(line.partition(": ")[2].partition(" (")[0].split(", ")) == [
        f"level {said['level']} V",
        f"rate {said['rate']} Hz",
        f"share {said['share']}",
        f"variance {said['variance']} V^2",
    ]
    (other,) = [line for line in lines if "slow base seed=1" in line]
    assert other.partition(": rate ")[2].split()[1] == "Hz"  # another experiment, which has no claims


def test_figures_have_the_unit_at_their_axes(
    found: tuple[Table, list[str]], tmp_path: Path, seen: dict[str, Any]
) -> None:
    table, _ = found
    assert {drawn.path.stem for drawn in draw_table(table, tmp_path)} == seen.keys()
    panels = seen["relaxed_measures"].axes[:4]
    assert [panel.get_xlabel() for panel in panels] == list(HEADINGS[2:])
    for panel, (measure, scale) in zip(panels, SHOWN.items(), strict=True):
        base, *_ = panel.get_lines()
        values = table.measure(CellKey("relaxed", "base", ()), measure)
        assert np.allclose(base.get_xdata(), scale * values)
    largest = np.max(table.measure(CellKey("relaxed", "base", ()), "weights"))
    (panel,) = seen["relaxed_base_each"].axes
    assert panel.get_ylabel() == "each (V)" and panel.get_ylim()[1] < 0.03
    assert seen["relaxed_weights"].axes[0].get_title() == f"base (±{largest:.2g} nS)"
    (panel, _) = seen["relaxed_weights_by_far"].axes
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("distance (um)", "|weight| (nS)")


def test_the_report_names_units_in_every_table(choice: Choice, found: tuple[Table, list[str]]) -> None:
    text = html(choice, found[0])
    for heading in HEADINGS[2:]:
        assert text.count(f'<th scope="col">{heading}</th>') >= 2  # the means, and the cells
    value = 1e3 * found[0].measure(CellKey("relaxed", "base", ()), "rate")[0]
    assert f'<td class="number">{figure(value)}</td>' in text


def test_claims_without_a_unit_are_read_in_one(found: tuple[Table, list[str]]) -> None:
    table, _ = found
    cells = {row.claim.text: claim_cells(row) for row in table.rows["relaxed"]}
    rows = {row.claim.text: row for row in table.rows["relaxed"]}
    ours = {text: cell[3].removesuffix(" (n = 2)") for text, cell in cells.items()}
    faster, values = rows["faster"], [table.measure(CellKey("relaxed", v, ()), "rate") for v in ("stronger", "base")]
    assert ours["faster"] == f"{figure(1e3 * values[0].mean())} against {figure(1e3 * values[1].mean())} Hz"
    assert cells["faster"][5].startswith(f"difference {1e3 * (values[0] - values[1]).mean():+.4g} Hz")
    assert faster.unit == "" and faster.sides == pytest.approx([each.mean() for each in values])
    assert [ours[text].split()[-1] for text in ("above", "and of another", "wider", "of both")] == [
        "V",
        "Hz",
        "V^2",
        "V/s",
    ]
    assert (cells["of units"][2], rows["of units"].unit) == ("14 ± 5", "")  # a unit inside is not that of the whole
    assert rows["of units"].ours.mean == pytest.approx(table.measure(CellKey("relaxed", "base", ()), "level").mean())
    assert (cells["named in `for`"][2], rows["named in `for`"].unit) == ("14 ± 4 mV", "mV")


def test_json_is_as_cells_are(choice: Choice, found: tuple[Table, list[str]]) -> None:
    store = ["--results", str(choice.file.parent / "results"), "--dtype", "float64", "-b", "interpreter"]
    command = ["reproduce", str(choice.file), "-e", "relaxed", "--only-kept", *store]
    data = json.loads(CLI.invoke(app, [*command, "--json"]).stdout)
    (faster,) = [row for row in data["claims"] if row["claim"] == "faster"]
    base = found[0].measure(CellKey("relaxed", "base", ()), "rate").mean()
    assert faster["unit"] == "" and faster["sides"][1] == pytest.approx(base)
    printed = CLI.invoke(app, command).stdout
    assert "rate (Hz)" in printed and f"{figure(1e3 * base)} Hz" in printed


def test_an_epoch_tells_the_unit_of_what_is_optimised(choice: Choice, tmp_path: Path) -> None:
    command = ["train", str(choice.file), "-e", "searched", "-b", "interpreter", "-o", str(tmp_path)]
    result = CLI.invoke(app, command)
    assert result.exit_code == 0, result.output
    (record,) = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    for name in ("best", "parents", "all"):
        assert f"{name} {record[name] / 1e3:.4g} V" in result.stderr
    assert "level = " in result.stdout and " V\n" in result.stdout


def test_learning_curves_of_a_measure_have_its_unit(choice: Choice, tmp_path: Path, seen: dict[str, Any]) -> None:
    table = reproduce(choice, ["searched"], store=tmp_path, workers=0)
    draw_table(table, tmp_path)
    (panel,) = seen["searched_learning"].axes
    assert panel.get_ylabel() == "mean of the parents (V)"
    (result,) = table.results[CellKey("searched", "base", ())].values()
    assert panel.get_lines()[0].get_ydata() == pytest.approx([result.history[0]["parents"] / 1e3])
