"""Variants edit the written text: modifiers stay, later lets follow, loops are taken apart, removal takes its connections along."""

from typing import Any

import pytest

from cortexspec.analysis.apply_variant import cell_of, merge_like
from cortexspec.analysis.elaborate import check, elaborate, elaborate_experiment, experiments_of, library_of
from cortexspec.analysis.model import Model
from cortexspec.analysis.report import Report
from cortexspec.expressions.print import print_expression
from cortexspec.language.parse import parse_spec
from cortexspec.language.print_spec import print_spec
from cortexspec.schema.spec import Spec

CELL = """
neuron cell {
  param τ = 10 ms  trainable in positive(by = exp)
  param bias = 0 mV  per neuron
  input I : mV = 0 mV
  state v = 0 mV
  τ*v' = I + bias - v
  output v
}
neuron plain { input I : mV = 0 mV; state v = 0 mV; 5 ms*v' = I - v; output v }
"""
NET = (
    CELL
    + """
circuit column(gain: real = 2) {
  input drive : mV = 0 mV
  population a[3], b[4], c[2] : cell(τ = 20 ms)
  group cells = [a, b, c]
  let base = 3*gain
  let level = 2*base
  for p in cells { connect drive -> p }
  for p in cells, q in [a, b] { connect q -> p { weight = 0.1*level; rule = bernoulli(0.2) } }
  connect ab: a -> b { weight ~ normal(0, 1) trainable in nonnegative }
  output mean_v = mean(cells.v)
}
circuit area(n: int = 2) {
  part V[n], U[n] : column(gain = 1)
  connect V.mean_v -> U.drive
}
experiment run of column(gain = 4) {
  simulate { duration = 10 ms; dt = 1 ms }
  measure level_a = mean(a.v)
  vary { gain = [1, 2]; seed = 1..3 }
  variant %s
}
"""
)


def spec_of(text: str) -> Spec:
    spec, found = parse_spec(text, "test.cortex")
    assert spec is not None, [one.message for one in found]
    return spec


def column(variant: str) -> Model:
    name = variant.split()[0]
    model, found = elaborate(spec_of(NET % variant), experiment="run", variant=name)
    assert model is not None, [one.message for one in found]
    return model


def value(model: Model, path: str) -> str:
    expression = model.variables[path].value
    assert expression is not None
    return print_expression(expression)


def test_an_edit_replaces_a_value_and_keeps_modifiers() -> None:
    model = column("slow { a.τ = 50 ms }")
    assert value(model, "a.τ") == "50 ms"
    assert value(model, "b.τ") == "20 ms"
    assert model.variables["a.τ"].trainable and model.variables["a.τ"].constraint is not None


def test_modifiers_alone_keep_the_value() -> None:
    model = column("trained { a.bias trainable; ab.weight in positive }")
    assert model.variables["a.bias"].trainable
    assert model.variables["a.bias"].type.has("a")
    weight = model.variables["ab.weight"]
    assert weight.trainable and weight.draw is not None
    assert print_expression(weight.constraint) == "positive"  # type: ignore[arg-type]


def test_a_value_replaces_a_distribution() -> None:
    weight = column("fixed { ab.weight = 0.5 }").variables["ab.weight"]
    assert weight.draw is None and weight.trainable and weight.constraint is not None


def test_later_lets_follow() -> None:
    model = column("strong { base = 7 }")
    assert (value(model, "base"), value(model, "level")) == ("7", "2*base")
    assert value(column("other { gain = 9 }"), "gain") == "9"


def test_an_edit_of_a_group_reaches_every_member() -> None:
    model = column("all { cells.τ = 1 ms }")
    assert [value(model, f"{p}.τ") for p in "abc"] == ["1 ms", "1 ms", "1 ms"]


def test_one_connection_of_a_loop_is_edited_alone() -> None:
    model = column("one { a_to_c.weight = 5; a_to_b.rule = all_to_all }")
    assert value(model, "a_to_c.weight") == "5"
    assert value(model, "b_to_c.weight") == "0.1*level"
    rules = {p.path: print_expression(p.rule) for p in model.projections if p.rule is not None}
    assert rules["a_to_b"] == "all_to_all" and rules["b_to_b"] == "bernoulli(0.2)"
    base = column("none { }")
    assert [p.path for p in model.projections] == [p.path for p in base.projections]


def test_a_loop_in_a_variant_edits_once_a_round() -> None:
    model = column("looped { for p in [a_to_a, b_to_b] { p.weight = 0 } }")
    assert [value(model, f"{p}.weight") for p in ("a_to_a", "b_to_b", "a_to_b")] == ["0", "0", "0.1*level"]


def test_another_type() -> None:
    model = column("simple { c : plain }")
    assert [p.neuron for p in model.populations] == ["cell", "cell", "plain"]


def test_removal_takes_connections_and_the_place_in_groups() -> None:
    model = column("lesion { remove b }")
    assert [p.path for p in model.populations] == ["a", "c"]
    assert model.groups[0].members == ("a", "c")
    assert [p.path for p in model.projections] == ["drive_to_a", "drive_to_c", "a_to_a", "a_to_c"]
    assert "b" in model.removed and "ab" in model.removed


def test_removal_of_a_connection_and_of_a_block() -> None:
    model = column("cut { remove ab, a_to_c[c, a] }")
    assert "ab" not in {p.path for p in model.projections}
    [block] = [p for p in model.projections if p.path == "a_to_c"]
    assert block.cuts == (("c", "a"),)


def test_variants_build_on_each_other() -> None:
    text = (NET % "one { a.τ = 1 ms }").replace("  variant", "  variant two of one { b.τ = 2 ms }\n  variant")
    model, _ = elaborate(spec_of(text), experiment="run", variant="two")
    assert model is not None
    assert [value(model, f"{p}.τ") for p in "abc"] == ["1 ms", "2 ms", "20 ms"]


def area(edit: str) -> Model:
    text = (
        NET % "x { }"
        + f"experiment wide of area {{ simulate {{ duration = 10 ms; dt = 1 ms }} variant e {{ {edit} }} }}"
    )
    model, found = elaborate(spec_of(text.replace("} variant e", "}\n variant e")), experiment="wide", variant="e")
    assert model is not None, [one.message for one in found]
    return model


def test_an_edit_inside_a_part_leaves_its_twin_alone() -> None:
    model = area("V.a.τ = 3 ms; V.ab.weight = 1; remove V.c")
    assert (value(model, "V.a.τ"), value(model, "U.a.τ")) == ("3 ms", "20 ms")
    assert (value(model, "V.ab.weight"), model.variables["U.ab.weight"].value) == ("1", None)
    assert [p.path for p in model.populations] == ["V.a", "V.b", "U.a", "U.b", "U.c"]


def test_a_template_argument_of_a_part() -> None:
    model = area("U.gain = 8")
    assert (value(model, "U.gain"), value(model, "V.gain")) == ("8", "1")


def test_arguments_from_python_are_edits() -> None:
    spec = spec_of(NET % "x { }")
    model, _ = elaborate(spec, "column", {"gain": 3, "a.τ": "7 ms", "ab.weight": 0.25})
    assert model is not None
    assert [value(model, path) for path in ("gain", "a.τ", "ab.weight")] == ["3", "7 ms", "0.25"]


@pytest.mark.parametrize(
    "variant",
    [
        "v { a.τ = 3 ms; remove b }",
        "v { a_to_c.weight = 5 }",
        "v { c : plain; gain = 2 }",
        "v { cells.bias trainable }",
    ],
)
def test_the_edited_text_is_a_spec_again(variant: str) -> None:
    """The edited Spec prints, parses, and elaborates to the same circuit."""
    spec = spec_of(NET % variant)
    report = Report()
    library = library_of(spec, {}, report)
    merged = merge_like(experiments_of(spec), "run", report)
    assert merged is not None
    cell = cell_of(spec, library, merged, "v", report)
    assert cell is not None and not report.failed
    again = spec_of(print_spec(cell.spec(spec)))
    arguments: Any = cell.arguments
    first, _ = elaborate(spec, experiment="run", variant="v")
    second, found = elaborate(again, "column", arguments)
    assert first is not None and second is not None, [one.message for one in found]
    assert first.variables.keys() == second.variables.keys()
    assert [p.path for p in first.projections] == [p.path for p in second.projections]


def test_like_copies_all_but_claims() -> None:
    text = (
        NET % "slow { a.τ = 50 ms }"
        + """
experiment again of column(gain = 1) like run {
  simulate { duration = 20 ms }
  vary { seed = 1..2 }
  measure level_b = mean(b.v)
}
"""
    )
    model, found = elaborate_experiment(spec_of(text), "again")
    assert model is not None, [one.message for one in found]
    assert [m.name for m in model.measures] == ["level_a", "level_b"]
    assert set(model.variants) == {"slow"}
    assert {name: print_expression(e) for name, e in model.simulate.items()} == {"duration": "20.0 ms", "dt": "1.0 ms"}
    assert [names for names, _ in model.vary] == [("seed",)]


FOREIGN = (
    "use nowhere\n"
    + CELL
    + """
circuit inner {
  population a : strange(τ = 1 ms)
  population b[10] : cell
  connect a -> b
  connect strange(8 Hz) -> b { weight = 1 }
}
circuit net {
  population a[10] : strange(τ = 1 ms)
  population b[10], c[10] : cell
  group g = [a, b]
  part p : inner
  connect a.y -> b { weight = 1 }
  connect b -> a.I { weight = 1 }
  connect strange(8 Hz) -> c { weight = 1 }
  connect strange -> b
  connect p.a.y -> c
  for one in g { connect one -> c { weight = 1 } }
  for one in [a, c], other in [b, c] { connect one -> other { weight = 1 } }
}
experiment run of net { simulate { duration = 10 ms; dt = 1 ms }; EDIT }
"""
)


def edited_without_the_plugin(edit: str) -> list[tuple[str, str]]:
    """What is said beside the warnings that a plugin is missing."""
    found = check(spec_of(FOREIGN.replace("EDIT", edit)))
    assert any(one.code == "CS904" for one in found)
    return [(one.code, one.message) for one in found if (one.code, one.severity) != ("CS904", "warning")]


@pytest.mark.parametrize(
    "edit",
    [
        "a_to_b.weight = 2", "remove a_to_b", "b_to_a.weight = 2", "b_to_a_I.weight trainable", "strange_to_c.weight = 2",
        "strange_to_b.weight = 2", "p_a_to_c.weight = 2", "remove a_to_c", "b_to_c.weight = 2", "c_to_c.weight = 2",
        "a.τ = 3 ms", "a : odd", "remove a", "remove b", "p.a.τ = 2 ms", "p.a_to_b.weight = 2", "remove p.strange_to_b",
    ],
)  # fmt: skip
def test_an_edit_of_what_a_missing_plugin_brings_is_not_judged(edit: str) -> None:
    assert edited_without_the_plugin(edit) == []


@pytest.mark.parametrize("edit", ["a_to_p.weight = 2", "remove z_to_b", "p.b_to_a.weight = 2", "c_to_c.wait = 2"])
def test_an_edit_of_nothing_is_one_also_beside_a_missing_plugin(edit: str) -> None:
    [(code, _)] = edited_without_the_plugin(edit)
    assert code == "CS316"
