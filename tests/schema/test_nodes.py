"""The pydantic objects, as Python code builds them: only what can be written as text."""

import numpy as np
import pytest
from pydantic import ValidationError

from cortexspec.expressions import tree
from cortexspec.schema.spec import Experiment, Formal, Spec, Template, Use
from cortexspec.schema.statement import (
    Argument,
    Claim,
    Declarator,
    Declare,
    Equation,
    Modifier,
    Retype,
    SetModifiers,
    Spike,
    Update,
)


def test_expressions_come_as_text_numbers_or_trees() -> None:
    by_text = Equation(left="v'", right="-3")
    by_number = Equation(left="v'", right=-3)
    by_tree = Equation(left=tree.Derivative(tree.Name("v"), 1), right=tree.Unary("-", tree.Number("3")))
    assert by_text == by_number == by_tree
    assert by_text.model_dump(mode="json")["right"] == "-3"
    for number in (np.float64(-3), np.int64(-3), np.float32(-3), np.array(-3)):
        assert Equation(left="v'", right=number) in (by_number, Equation(left="v'", right=-3.0))
    assert Equation(left="x", right=np.bool_(True)) == Equation(left="x", right="true")


def test_nodes_are_immutable_and_hashable() -> None:
    update = Update(name="x", value="1")
    assert {update, Update(name="x", value="1")} == {update}
    with pytest.raises(ValidationError):
        update.name = "y"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Update(name="a b", value="1"), "not a name"),
        (lambda: Update(name="κ²", value="1"), "κ^2"),
        (lambda: Update(name="in", value="1"), "reserved"),
        (lambda: Update(name="state", value="1"), "begins a statement"),
        (lambda: Update(name="x", value="2 +"), "too early"),
        (lambda: Update(name="x", value={"text": "1"}), "an expression is text"),
        (lambda: Equation(left="output*x", right="1"), "begins a statement"),
        (lambda: SetModifiers(target="group.x", modifiers=({"kind": "trainable"},)), "begins a statement"),
        (lambda: SetModifiers(target="x", modifiers=()), "at least 1"),
        (lambda: Retype(name="let", type={"name": "b"}), "begins a statement"),
        (lambda: Declare(kind="param", declarators=()), "at least 1"),
        (lambda: Declare(kind="param", declarators=({"value": "a + b"},)), "needs a name"),
        (lambda: Declarator(value="v"), "give it as `name`"),
        (lambda: Declarator(name="v", unit="volts"), "not a unit"),
        (lambda: Declarator(name="v", unit="1/ms"), "symbols joined"),
        (lambda: Declarator(name="v''*", value="1"), "not a name"),
        (lambda: Modifier(kind="in"), "need a `value`"),
        (lambda: Modifier(kind="trainable", value="1"), "need a `value`"),
        (lambda: Modifier(kind="per", value="1"), "need"),
        (lambda: Argument(), "value alone"),
        (lambda: Argument(name="x"), "value or modifiers"),
        (lambda: Spike(), "either"),
        (lambda: Spike(condition="a", distribution="b"), "either"),
        (lambda: Spike(distribution="b", refractory="1 ms"), "nothing else"),
        (lambda: Claim(text='a"b', source="", value="1"), "double quotes"),
        (lambda: Claim(text="a", source="", value="1", of="2"), "`within`"),
        (lambda: Use(), "either"),
        (lambda: Formal(name="n", type="integer"), "not a unit"),
        (lambda: Formal(name="n", type=""), "has a type"),
        (lambda: Experiment(name="e", arguments=({"value": "1"},)), "circuit"),
        (lambda: Spec(doc='a"""b'), "doc string"),
        (lambda: Template(kind="neurn", name="a"), "neuron"),
        (lambda: Template(kind="neuron", name="a", bdy=()), "Extra inputs"),
    ],
)
def test_what_no_text_can_say_is_refused(make: object, says: str) -> None:
    with pytest.raises(ValidationError, match=says.replace("(", r"\(").replace("^", r"\^")):
        make()  # type: ignore[operator]
