"""Arrays that are made as they are read: what a batch needs fits in memory, all of it would not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class OneHot:
    """Places [trial, time] as vectors [trial, time, symbol] with one entry `scale`, the others 0."""

    places: Array
    symbols: int
    scale: float = 1.0
    dtype: np.dtype[Any] = field(default=np.dtype(np.float32))

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.places.shape, self.symbols)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, trials: Any) -> Array:
        places = self.places[trials]
        made = np.zeros((*places.shape, self.symbols), self.dtype)
        np.put_along_axis(made, places[..., np.newaxis].astype(np.int64), self.scale, axis=-1)
        return made


@dataclass(frozen=True, eq=False)
class Made:
    """`make(trials)` gives those trials [trial, ...]; `shape` is that of all of them."""

    shape: tuple[int, ...]
    make: Callable[[Array], Array]
    dtype: np.dtype[Any] = field(default=np.dtype(np.float32))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, trials: Any) -> Array:
        return self.make(np.atleast_1d(np.arange(self.shape[0])[trials]))
