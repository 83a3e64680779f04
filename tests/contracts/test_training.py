"""What an optimiser of a recipe is asked for."""

import pytest

from cortexspec.contracts.backend import Recipe
from cortexspec.contracts.training import LATER, optimizer_options
from cortexspec.diagnostics import SpecError


def test_options_are_the_defaults_with_what_is_written() -> None:
    found = optimizer_options(Recipe(optimizer="sgd", options={"lr": 0.5}))
    assert found["lr"] == 0.5 and found["momentum"] == 0.0


@pytest.mark.parametrize(
    ("recipe", "code"),
    [
        (Recipe(optimizer="adom"), "CS804"),
        (Recipe(optimizer="adam", options={"momentum": 1.0}), "CS804"),
        *((Recipe(optimizer=name), "CS700") for name in LATER),
    ],
)
def test_what_there_is_not_says_so(recipe: Recipe, code: str) -> None:
    with pytest.raises(SpecError) as caught:
        optimizer_options(recipe)
    assert [one.code for one in caught.value.diagnostics] == [code]
