"""What a trial has by chance. Each trial has numbers of its own, so that a longer data set begins with the shorter one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cortexspec.ir.ops.random import draw_words

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Draws:
    """The random numbers of one split of a task: the same for the same task, split and seed, on every machine."""

    task: str
    split: str
    seed: int
    trials: int

    def choices(self, name: str, count: int) -> Array:
        """One of `count` alternatives for each trial [trial], all equally likely."""
        words, _ = self._words(name, 1)
        return ((words[:, 0].astype(np.uint64) * np.uint64(count)) >> np.uint64(32)).astype(np.int64)

    def uniform(self, name: str, shape: Sequence[int]) -> Array:
        """Numbers between 0 and 1 [trial, *shape], all equally likely."""
        words, _ = self._words(name, int(np.prod(shape)))
        return ((words.astype(float) + 0.5) * 2.0**-32).reshape(self.trials, *shape)

    def normal(self, name: str, shape: Sequence[int]) -> Array:
        """Standard normal numbers [trial, *shape], by Box and Muller."""
        first, second = (word.astype(float) for word in self._words(name, int(np.prod(shape))))
        radius = np.sqrt(-2 * np.log((first + 0.5) * 2.0**-32))
        return (radius * np.cos(second * (2 * np.pi * 2.0**-32))).reshape(self.trials, *shape)

    def _words(self, name: str, count: int) -> tuple[Array, Array]:
        site = f"{self.task}.{self.split}.{name}"
        return draw_words(site, np.array(self.seed), [np.arange(self.trials)], count)
