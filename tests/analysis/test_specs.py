"""The ten specs elaborate: names, units, axes, sizes, counts of what they are known to have."""

from pathlib import Path

import pytest

from cortexspec.analysis.elaborate import check, elaborate, elaborate_experiment, experiments_of
from cortexspec.analysis.model import Model, Variable
from cortexspec.expressions.print import print_expression
from cortexspec.ir.size import Size
from cortexspec.language.parse import parse_spec
from cortexspec.runtime.plugins import plugins_of
from cortexspec.schema.spec import Spec
from cortexspec.units import DIMENSIONLESS, unit_of

SPECS = Path(__file__).parents[2] / "specs"
FILES = sorted(SPECS.glob("*/*.cortex"))


def spec_of(name: str) -> Spec:
    path = SPECS / name
    spec, found = parse_spec(path.read_text(encoding="utf-8"), str(path))
    assert spec is not None, found
    return spec


def model_of(name: str, circuit: str, **arguments: object) -> Model:
    spec = spec_of(name)
    model, found = elaborate(spec, circuit, arguments, plugins=plugins_of([spec]).brought)
    assert model is not None, [one.message for one in found]
    return model


def size_of(variable: Variable, sizes: dict[str, int]) -> int:
    total = 1
    for axis in variable.type.axes:
        total *= axis.size.evaluate(sizes)
    return total


def trained(model: Model, prefix: str, **sizes: int) -> int:
    bound = {**model.sizes, **sizes}
    return sum(size_of(v, bound) for p, v in model.variables.items() if v.trainable and p.startswith(prefix))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_spec_checks_but_for_plugins_that_are_not_installed(path: Path) -> None:
    spec = spec_of(str(path.relative_to(SPECS)))
    own = [one for one in plugins_of([spec]).brought if one.plugin in ("neurons", "synapses")]  # come with CortexSpec
    found = check(spec, plugins=own)
    assert {(one.code, one.severity) for one in found} <= {("CS904", "warning")}, [one.message for one in found]


@pytest.mark.parametrize("name", ["cmc", "infoflux"])
def test_a_spec_whose_plugins_are_installed_has_nothing_to_warn_of(name: str) -> None:
    spec = spec_of(f"{name}/model.cortex")
    assert check(spec, plugins=plugins_of([spec]).brought) == ()


def test_there_are_ten() -> None:
    assert len(FILES) == 10


def test_cmc_has_its_states_couplings_and_units() -> None:
    model = model_of("cmc/model.cortex", "cmc")
    assert [p.path for p in model.populations] == ["ss", "ii", "dp", "sp"]
    assert [path for p in model.populations for path in p.states] == [
        "ss.v", "ss.v'", "ii.v", "ii.v'", "dp.v", "dp.v'", "sp.v", "sp.v'",
    ]  # fmt: skip
    assert len(model.projections) == 1 + 10 + 4
    assert model.variables["ss.v'"].type.unit == unit_of("mV/ms")
    assert model.variables["γ3"].type.unit == unit_of("kHz")
    assert model.variables["γ3"].unit_shown == "Hz"
    assert model.variables["γ3"].trainable
    assert print_expression(model.variables["γ3"].constraint) == "positive(by = exp)"  # type: ignore[arg-type]
    [equation] = model.populations[0].equations
    assert (equation.state, equation.order) == ("ss.v", 2)
    assert model.groups[0].members == ("ss", "ii", "dp", "sp")
    assert model.groups[0].table_axis == model.groups[0].axis == "cells"


def test_an_argument_replaces_the_value_and_keeps_the_modifiers() -> None:
    model = model_of("cmc/model.cortex", "cmc")
    slow = model.variables["dp.κ"]
    assert print_expression(slow.value) == "1/(28 ms*slow)"  # type: ignore[arg-type]
    assert slow.trainable and slow.constraint is not None


@pytest.mark.parametrize("regions", [1, 3])
def test_the_network_of_the_tables_has_the_parameters_that_the_paper_page_counts(regions: int) -> None:
    model = model_of("cmc/model.cortex", "visual_hierarchy", regions=regions, channels=32, hidden=128)
    c, h, k, n, colours = 32, 128, 10, regions, 1
    q = c // 4
    retina = c * (c + 1) + 10 * c + c + 2 * q * (9 * colours + 1) + 2 * q * (49 * colours + 1)
    assert trained(model, "eye.", image_0=colours) == retina
    projection = 196 * c * h + 3 * h + 8 * n * (h + 1)
    assert sum(trained(model, p) for p in ("fc1.", "bn1.", "to_v.", "to_w.")) == projection
    head = 8 * n * h + 3 * h + (h + 3) * (h // 2) + (h // 2 + 1) * k
    assert sum(trained(model, p) for p in ("h1.", "bn2.", "h2.", "bn3.", "h3.")) == head
    assert sum(trained(model, p) for p in ("V.", "W", "a")) == 15 * n + n * n


def test_a_part_array_puts_its_axis_in_front() -> None:
    model = model_of("cmc/model.cortex", "visual_hierarchy")
    assert model.variables["V.ss.v"].axes_written == ("V", "ss")
    assert model.variables["V.γ1"].axes_written == ("V",)
    assert model.variables["V.γ1"].type.axis("V").size == Size.symbol("regions")
    assert model.variables["W"].axes_written == ("V_target", "V_source")
    [between] = [p for p in model.projections if p.path == "between"]
    assert (between.source_axes, between.target_axes) == (("V",), ("V",))
    assert model.variables["between.weight"].axes_written == ("V_target", "V_source")
    assert [start.target for start in model.starts] == ["V.cells.v", "V.cells.v'"]


def test_sizes_stay_symbols() -> None:
    small, large = (model_of("gallery/gru.cortex", "gru", N=n) for n in (4, 4000))
    assert small.sizes["N"] == 4 and large.sizes["N"] == 4000
    assert small.variables.keys() == large.variables.keys()
    for path in small.variables:
        assert small.variables[path].type == large.variables[path].type


def test_printed_equations_are_in_pure_numbers() -> None:
    model = model_of("cmc/model.cortex", "cmc_as_printed")
    assert model.time_unit == DIMENSIONLESS
    assert model_of("cmc/model.cortex", "cmc").time_unit == unit_of("ms")


def test_ports_name_connections_where_there_are_several() -> None:
    model = model_of("gallery/gru.cortex", "gru")
    assert [p.path for p in model.projections] == [
        "x_to_cell_z", "x_to_cell_r", "x_to_cell_n", "cell_to_cell_z", "cell_to_cell_r", "cell_to_cell_n",
    ]  # fmt: skip
    assert model.variables["cell_to_cell_z.weight"].axes_written == ("cell_target", "cell_source")
    assert model.variables["x_to_cell_z.weight"].axes_written == ("cell", "n_in")


def test_equations_of_second_order_and_functions_of_the_spec() -> None:
    model = model_of("gallery/jansen_rit.cortex", "brain")
    [node] = [p for p in model.populations if p.path == "node"]
    assert [e.order for e in node.equations] == [2, 2, 2]
    assert model.variables["node.y1'"].type.unit == unit_of("mV/ms")
    calls = [part.path for part in model.parts]
    assert len(calls) == len(set(calls)) == 4 and all(path.startswith("node.potential_to_rate") for path in calls)
    assert model.variables["long.delay"].type.unit == unit_of("ms")
    assert model.variables["D"].axes_written == ("node_target", "node_source")


def test_synapses_live_where_they_say() -> None:
    text = (SPECS / "gallery" / "coba_stp.cortex").read_text("utf-8")
    first, rest = text.split("connect ei", 1)
    first = first.replace("synapse = exponential(5 ms)", "synapse = stdp()")
    rest = rest.replace("synapse = exponential(5 ms)", "synapse = tsodyks_markram(U = 0.2)", 1)
    spec, _ = parse_spec(f"{first}connect ei{rest}")
    assert spec is not None
    model, _ = elaborate(spec, "network", {})
    assert model is not None
    synapse = {p.path: p.synapse for p in model.projections}
    assert synapse["ei"] is not None and synapse["ee"] is not None
    assert synapse["ei"].extents == {"ei.R": "pre", "ei.u": "pre", "ei.g": "post"}
    assert model.variables["ei.z"].type.unit == unit_of("nS/ms")
    assert model.variables["ee.weight"].kind == "state"
    assert {u.state for u in synapse["ee"].on_pre} == {"ee.x", "ee.weight"}
    assert print_expression(synapse["ei"].send) == "ei.u1.pre*ei.R"  # type: ignore[arg-type]


def test_a_table_over_a_group_is_read_by_member() -> None:
    model = model_of("gallery/potjans_diesmann.cortex", "microcircuit")
    assert len(model.projections) == 64 + 8 + 8 + 1
    [cells] = model.groups
    assert cells.axis != cells.table_axis
    table = model.variables["P"].type
    assert {axis.size.evaluate({}) for axis in table.axes} == {8}
    assert "poisson_train_to_L4E_I" in {p.path for p in model.projections}
    exception = model.variables["L4E_to_L23E_I.weight"]
    assert (
        exception.draw is not None and print_expression(exception.draw) == "normal(2*w/sqrt(scale), 0.2*w/sqrt(scale))"
    )
    ordinary = model.variables["L4I_to_L23E_I.weight"]
    assert ordinary.draw is not None and "polarity" in print_expression(ordinary.draw)


def test_rules_read_attributes_of_both_sides() -> None:
    model = model_of("balanced/model.cortex", "ring")
    assert model.variables["I_to_E.post.φ"].axes_written == ("E",)
    assert model.variables["I_to_I.post.φ"].axes_written == ("I_target",)
    assert model.variables["E.θ"].draw is not None
    assert model.variables["E_to_I.weight"].type.unit == unit_of("V/Hz")


def test_ports_with_an_axis_are_targets_of_their_own() -> None:
    arguments = {"n_in": 7, "n_out": 5, "N": 9, "d_m": 3, "d_tree": 4, "d_brch": 2, "ρ": 0.5, "τ_min": 1, "τ_max": 10}
    model = model_of("elm/model.cortex", "network", **arguments)
    wires = next(p for p in model.projections if p.path == "wires")
    assert wires.target_axes == ("hidden", "d_tree")
    assert next(p for p in model.projections if p.path == "up").read_new
    assert model.variables["hidden.W_1"].axes_written[0] == "hidden"
    assert model.variables["hidden.m"].axes_written == ("hidden", "d_m")
    assert model.variables["last.m"].axes_written == ("last", "last.d_m")  # three there, another size than in `hidden`
    assert model.variables["last.m"].type.axis("last.d_m").size == Size.of(3)


MISSING = """
use absent

circuit c {
  let a = strange(2)
  let b = 2*a
  let d = 3
}
"""


def test_what_only_a_missing_plugin_knows_is_named() -> None:
    spec, _ = parse_spec(MISSING)
    assert spec is not None
    model, _ = elaborate(spec, "c")
    assert model is not None
    assert set(model.opaque) == {"a", "b", "strange"}
    assert all(span is not None for span in model.opaque.values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_experiment_has_its_model(path: Path) -> None:
    spec = spec_of(str(path.relative_to(SPECS)))
    for name in experiments_of(spec):
        model, found = elaborate_experiment(spec, name, plugins=plugins_of([spec]).brought)
        assert model is not None, (name, [one.message for one in found])
        assert model.claims or "clean" in name or name in ("fit", "smoke")


def test_an_experiment_keeps_what_it_was_told() -> None:
    spec = spec_of("cmc/model.cortex")
    model, _ = elaborate_experiment(spec, "ablation")
    assert model is not None
    assert model.circuit == "visual_hierarchy"
    assert set(model.variants) >= {"without_ss", "without_dp", "no_ode", "feedforward"}
    assert [names for names, _ in model.vary] == [("regions",), ("seed",)]
    assert print_expression(model.simulate["duration"]) == "73.0 ms"
    ode, _ = elaborate_experiment(spec, "ablation", "no_ode")
    assert ode is not None and print_expression(ode.simulate["duration"]) == "0.0 ms"
    rows = [claim.row["v"] for claim in model.claims if claim.text.startswith("each costs")]
    assert rows == ["without_ss", "without_ii", "without_dp", "without_sp"]
