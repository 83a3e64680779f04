"""A balanced network as the theory sees it: arrays over populations and a grid of angles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cortexspec_mean_field.kernels import Kernel

Array = np.ndarray[Any, Any]
Degree = Literal["random", "fixed"]


@dataclass(frozen=True, eq=False)
class BalancedNetwork:
    """Populations of threshold-crossing neurons, on a ring where connections and drive are tuned.

    Shapes: weights J, in_degree, probability [target, source]; kernels [target][source]; profiles f [target, source, angle];
    drive e [population, angle]; threshold, spread [population]. A synapse has the weight J / sqrt(K) and a population the
    drive sqrt(K) e, both times unit area; in_degree is in units of K, probability that of a connection averaged over angles
    (0: sparse), f of mean 1. The angles are those from the stimulus, even over the circle. `spread` is the standard
    deviation of thresholds, fixed across stimuli. Arrays may be complex, for derivatives.
    """

    names: tuple[str, ...]
    weights: Array
    kernels: tuple[tuple[Kernel, ...], ...]
    profiles: Array
    drive: Array
    K: Any
    threshold: Array
    spread: Array
    in_degree: Array
    probability: Array
    degree: Degree = "random"

    @property
    def angles(self) -> Array:
        return 2 * np.pi * np.arange(self.drive.shape[-1]) / self.drive.shape[-1]

    @property
    def stimulus(self) -> float:
        """The angle at which the drive peaks, by its first harmonic; 0 where it has none."""
        first = (self.drive.real * np.exp(1j * self.angles)).mean(axis=-1).sum()
        tuned = abs(first) > 1e-12 * np.abs(self.drive).max()
        return float(np.angle(first)) if tuned else 0.0

    @property
    def half(self) -> Array | None:
        """The angles that tell all of them where drive and connections are even, else None."""
        size = self.drive.shape[-1]
        mirror = -np.arange(size) % size
        scale = np.abs(self.drive).max()
        even = np.allclose(self.drive, self.drive[:, mirror], atol=1e-12 * scale) and np.allclose(
            self.profiles, self.profiles[..., mirror], atol=1e-12
        )
        return np.arange(size // 2 + 1) if even else None

    def moments(self, name: str) -> Array:
        """One moment of the kernels, [target, source]."""
        return np.array([[getattr(kernel, name) for kernel in row] for row in self.kernels])

    def effective(self) -> Array:
        """J times in-degree times area, [target, source]: the mean coupling in units of sqrt(K)."""
        return self.weights * self.in_degree * self.moments("area")


def network(
    weights: Any,
    kernels: Sequence[Sequence[Kernel]],
    drive: Any,
    *,
    K: Any,
    profiles: Any = None,
    threshold: Any = 1.0,
    spread: Any = 0.0,
    in_degree: Any = 1.0,
    probability: Any = 0.0,
    degree: Degree = "random",
    names: Sequence[str] = (),
    angles: int = 32,
) -> BalancedNetwork:
    """A network of plain numbers. `drive` [population] or [population, angle]; `profiles` None for untuned connections."""
    j = np.atleast_2d(np.asarray(weights))
    count = len(j)
    e = np.asarray(drive)
    e = np.broadcast_to(e[:, None], (count, angles)) if e.ndim == 1 else e
    f = np.ones((count, count, e.shape[-1])) if profiles is None else np.asarray(profiles)
    return BalancedNetwork(
        names=tuple(names) or ("E", "I")[:count] if count <= 2 else tuple(names) or tuple(map(str, range(count))),
        weights=j,
        kernels=tuple(tuple(row) for row in kernels),
        profiles=np.broadcast_to(f, (count, count, e.shape[-1])),
        drive=e,
        K=K,
        threshold=np.broadcast_to(np.asarray(threshold), (count,)),
        spread=np.broadcast_to(np.asarray(spread), (count,)),
        in_degree=np.broadcast_to(np.asarray(in_degree), j.shape),
        probability=np.broadcast_to(np.asarray(probability), j.shape),
        degree=degree,
    )


def cosine_profile(angles: Array, mu: Any) -> Array:
    """f = 1 + 2 mu cos: of rank 3."""
    return 1 + 2 * mu * np.cos(angles)


def von_mises_profile(angles: Array, concentration: Any) -> Array:
    """f = exp(kappa cos) / I_0(kappa): every harmonic is there."""
    unnormed = np.exp(concentration * np.cos(angles))
    return unnormed / unnormed.mean()


def grid(angles: int = 32) -> Array:
    """Angles from the stimulus, even over the circle, [angle]."""
    return 2 * np.pi * np.arange(angles) / angles


__all__ = ["BalancedNetwork", "cosine_profile", "grid", "network", "von_mises_profile"]
