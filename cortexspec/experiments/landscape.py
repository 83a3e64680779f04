"""The loss over a plane through the trained parameters, honestly: fixed batches, evaluation mode, directions scaled to the parameters.

A new draw of batches at each point of the grid, or dropout left on, makes any landscape rugged (measured: 500 times the second
difference of the same landscape with fixed batches), and a min-max normalisation hides how small the range is. So neither is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np

from cortexspec.experiments.session import Session
from cortexspec.ir.op import Array


@dataclass(frozen=True, slots=True)
class Landscape:
    """`loss` [alpha, beta] at `alphas` and `betas`; `roughness` is the standard deviation of the second difference along alpha."""

    alphas: Array
    betas: Array
    loss: Array

    @property
    def range(self) -> float:
        return float(self.loss.max() - self.loss.min())

    @property
    def roughness(self) -> float:
        return float(np.diff(self.loss, n=2, axis=0).std())


def loss_landscape(
    session: Session,
    points: int = 15,
    reach: float = 0.5,
    trials: int = 640,
    seed: int = 0,
    report: Callable[[int, int], None] | None = None,
) -> Landscape:
    """The loss of a trained session on the first `trials` training examples, in evaluation mode.

    Each direction is normal noise with, for every parameter array, the norm of that array (Li et al. 2018, arXiv 1712.09913,
    with arrays for filters); the second one is made orthogonal to the first. Both run from -reach to reach. The raw value of
    a reparametrised parameter is a logarithm, whose norm says nothing but its unit: there the noise has the standard
    deviation 1/2, a factor of 1.6 in the natural value.
    """
    simulator = session.evaluated.simulator
    inputs = session.evaluation_batch(np.arange(min(trials, session.trials)))
    names = list(session.trainable())
    trained = {name: np.asarray(array, float) for name, array in simulator.parameters().items()}
    logarithms = {param.value.name for param in session.simulation.plain.params if param.reparametrised}
    first, second = (_direction(trained, names, logarithms, seed, number) for number in (0, 1))
    overlap = sum(float((first[n] * second[n]).sum()) for n in names) / sum(float((first[n] ** 2).sum()) for n in names)
    second = {name: second[name] - overlap * first[name] for name in names}
    places = np.linspace(-reach, reach, points)
    loss = np.empty((points, points))
    try:
        for i, alpha in enumerate(places):
            for j, beta in enumerate(places):
                moved = {name: trained[name] + alpha * first[name] + beta * second[name] for name in names}
                simulator.set_parameters(moved)
                loss[i, j] = simulator.call("loss", inputs)["loss"]
            if report is not None:
                report(i + 1, points)
    finally:
        simulator.set_parameters({name: trained[name] for name in names})
    return Landscape(places, places, loss)


def _direction(
    trained: dict[str, Array], names: list[str], logarithms: set[str], seed: int, number: int
) -> dict[str, Array]:
    generator = np.random.default_rng([seed, number])
    direction: dict[str, Array] = {}
    for name in names:
        noise = cast(Array, generator.standard_normal(trained[name].shape))
        norm = float(np.linalg.norm(noise)) or 1.0
        scale = 0.5 if name in logarithms else float(np.linalg.norm(trained[name])) / norm
        direction[name] = noise * scale
    return direction
