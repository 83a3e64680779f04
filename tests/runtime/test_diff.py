"""`diff`: what changed in meaning, and nothing else."""

from dataclasses import replace

from cortexspec.analysis.model import Equation, Group, Model, Population, Projection, Variable
from cortexspec.diagnostics import Span
from cortexspec.expressions.parse import parse_expression as e
from cortexspec.ir.types import Type
from cortexspec.runtime.diff import compare_models
from cortexspec.units import unit_of

RATE = Variable("ss.κ", "param", Type(unit=unit_of("Hz")), value=e("50 Hz"), trainable=True, unit_shown="Hz")
POTENTIAL = Variable("ss.v", "state", Type(unit=unit_of("mV")), value=e("0 mV"), unit_shown="mV")
SS = Population(
    path="ss",
    neuron="neural_mass",
    axis="ss",
    instance_axes=(),
    params=("ss.κ",),
    states=("ss.v",),
    ports=(),
    lets=(),
    outputs=(),
    equations=(Equation("ss.v", 1, e("v'"), e("-κ*v")),),
    updates=(),
)
BASE = Model(
    circuit="c",
    sizes={"ss": 1},
    variables={"ss.κ": RATE, "ss.v": POTENTIAL},
    populations=(SS,),
    projections=(Projection("loop", e("ss.v"), "ss.u", ("ss",), ("ss",), None, None),),
    parts=(),
    groups=(Group("cells", ("ss",), "cells"),),
    starts=(),
    penalties=(),
    inputs=(),
    lets=(),
    outputs=(),
    time_unit=unit_of("ms"),
)


def changes(**edits: object) -> list[str]:
    return [str(change) for change in compare_models(BASE, replace(BASE, **edits))]


def test_the_same_model_has_no_changes() -> None:
    assert changes() == []


def test_places_and_ways_to_write_a_quantity_are_no_change() -> None:
    moved = replace(RATE, span=Span("f", 9, 1, 9, 5), unit_shown="kHz", value=e("0.05 kHz"))
    assert changes(variables={"ss.v": POTENTIAL, "ss.κ": moved}) == []


def test_a_value_a_modifier_and_a_unit() -> None:
    assert changes(variables={"ss.κ": replace(RATE, value=e("60 Hz"), trainable=False), "ss.v": POTENTIAL}) == [
        "~ param ss.κ value: 50 Hz -> 60 Hz",
        "~ param ss.κ trainable: yes -> no",
    ]
    [change] = changes(variables={"ss.κ": RATE, "ss.v": replace(POTENTIAL, type=Type(unit=unit_of("pA")))})
    assert change.startswith("~ state ss.v type: float mV -> float pA")


def test_an_equation() -> None:
    faster = replace(SS, equations=(Equation("ss.v", 1, e("v'"), e("-2*κ*v")),))
    assert changes(populations=(faster,)) == ["~ equation of ss.v: v' = -κ*v -> v' = -2*κ*v"]


def test_what_comes_and_goes() -> None:
    assert changes(projections=(), variables={**BASE.variables, "ss.H": replace(RATE, path="ss.H")}) == [
        "- connection loop source ss.v, target ss.u, source_axes [ss], target_axes [ss]",
        "+ param ss.H type float kHz, value 50 Hz, trainable yes",
    ]
    assert changes(groups=(Group("cells", ("ss", "dp"), "cells"),)) == ["~ group cells members: [ss] -> [ss, dp]"]


def test_the_size_of_a_population() -> None:
    assert changes(sizes={"ss": 4}) == ["~ size ss: 1 -> 4"]
