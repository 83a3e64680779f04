"""How a program is made of a case: which passes, what loops keep, how they nest, whose gradient, in which precision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

from cortexspec.contracts.backend import CLEAN, PassStep
from cortexspec.ir.module import Module
from cortexspec.passes.differentiate import differentiate, forward_and_backward
from cortexspec.passes.pipeline import DEFAULT, run_pipeline, through

# native: the framework's own; whole: the IR's value-and-gradient function; halves: the IR's forward and backward functions
# under the framework's autograd.
Gradient = Literal["native", "whole", "halves"]
GRADIENTS: tuple[Gradient, ...] = ("native", "whole", "halves")


@dataclass(frozen=True, slots=True)
class Setting:
    """`passes` is None for the backend's own pipeline, of which the passes `without` are left out. `segments` nest loops, longest
    first; none leaves them flat."""

    name: str
    passes: tuple[PassStep, ...] | None = None
    without: tuple[str, ...] = ()
    save: Literal["residuals", "carry"] = "residuals"
    segments: tuple[int, ...] = ()
    gradient: Gradient = "native"
    dtype: Literal["float32", "float64"] = "float64"

    def pipeline(self, own: Sequence[PassStep]) -> tuple[PassStep, ...]:
        """The passes in order, with those that nest loops and say what they keep."""
        steps = tuple(own or DEFAULT) if self.passes is None else self.passes
        steps = tuple(step for step in steps if name_of(step) not in self.without)
        if self.segments:
            steps = (*steps, ("checkpoint", {"segment": self.segments, "functions": ("rollout", "loss")}))
        return (*steps, ("save-policy", {"save": self.save})) if self.save != "residuals" else steps

    def apply(
        self,
        module: Module,
        sizes: Mapping[str, int],
        own: Sequence[PassStep],
        wrt: Sequence[str] = (),
        adjoint: Sequence[PassStep] = (),
    ) -> Module:
        """The module after the passes; with `wrt`, and where the gradient is the IR's own, with the functions that give it,
        derived from what it is after the passes `adjoint`.

        Raises: SpecError where a pass breaks a rule of the IR.
        """
        known = {name: size for name, size in sizes.items() if name != "trial"}
        module = run_pipeline(replace(module, sizes=known), self.pipeline(own))
        if not wrt or self.gradient == "native":
            return module
        function = through(module, "loss", adjoint)
        halves = forward_and_backward(function, wrt)
        made = halves if self.gradient == "halves" else (differentiate(function, wrt),)
        return run_pipeline(
            module.with_functions(**{one.name: one for one in made}), CLEAN if self.passes is None else ()
        )


DEFAULTS = (Setting("default"), Setting("no passes", passes=()))
OWN = Setting("the IR's gradient", gradient="halves")
# The second form of a backend whose program chooses by sizes, for all sizes.
APART = Setting("populations apart", without=("batch-populations",))
SINGLE = Setting("single precision", dtype="float32")


def pipelines(own: Sequence[PassStep] = ()) -> Iterator[Setting]:
    """The whole pipeline, none, each pass alone, all but each."""
    yield from DEFAULTS
    steps = tuple(own or DEFAULT)
    names = tuple(dict.fromkeys(name_of(step) for step in steps))
    for name in names:
        alone = next(step for step in steps if name_of(step) == name)
        yield Setting(f"only {name}", passes=(alone,))
    for name in names:
        yield Setting(f"without {name}", passes=tuple(step for step in steps if name_of(step) != name))


NESTINGS: Mapping[str, tuple[int, ...]] = {"flat": (), "segments": (5,), "nested twice": (8, 3)}


def matrix(settings: Sequence[Setting], gradients: Sequence[Gradient] = GRADIENTS) -> Iterator[Setting]:
    """Each setting under every save policy, nesting and gradient."""
    for setting, save, (nesting, segments), gradient in product(
        settings, ("residuals", "carry"), NESTINGS.items(), gradients
    ):
        name = f"{setting.name}, {save}, {nesting}, {gradient}"
        yield replace(setting, name=name, save=save, segments=segments, gradient=gradient)


def name_of(step: PassStep) -> str:
    return step if isinstance(step, str) else step[0]
