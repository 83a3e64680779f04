"""The whole suite as rows: which cases under which settings, in the order in which a reader of the table wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cortexspec.contracts.backend import Backend
from cortexspec.testing.cases import cases, fast_cases
from cortexspec.testing.parity import Row, check
from cortexspec.testing.settings import DEFAULTS, matrix, pipelines


def rows(
    backend: Backend,
    *,
    fast: bool = False,
    everything: bool = False,
    wanted: Callable[[str], bool] = lambda title: True,
) -> Iterator[Row]:
    """Values and gradients of every case with the backend's passes and without any; central differences with its passes.

    `fast`: a circuit once, and one under every solver. `everything`: each pass alone and left out too, and gradients under every save
    policy, nesting and kind of gradient. `wanted` picks cases by their title.
    """
    for case in fast_cases() if fast else cases():
        if not wanted(case.title):
            continue
        for place, setting in enumerate(pipelines(backend.pipeline) if everything else DEFAULTS):
            quantities = ("values", "gradients", "differences") if place == 0 else ("values", "gradients")
            yield from check(backend, case, setting, quantities)
        if everything:
            for setting in matrix(DEFAULTS):
                yield from check(backend, case, setting, ("gradients",))
