"""The adding problem: the sum of the two numbers of a long sequence that are marked.

Source: Hochreiter & Schmidhuber 1997, "Long short-term memory", section 5.4, with numbers from 0 to 1 and marks in either half,
as in Le, Jaitly & Hinton 2015.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cortexspec_tasks.draws import Array, Draws

NUMBER, MARK = 0, 1
SETTINGS: Mapping[str, Any] = {"length": 100}
# The variance of a sum of two uniform numbers: the mean square error of one who always says 1.
VARIANCE = 1 / 6


def trials_of(draws: Draws, settings: Mapping[str, Any]) -> tuple[Array, Array]:
    """Inputs [trial, time, 2] (number, mark 0 or 1) and the sums of the marked numbers [trial]."""
    length = settings["length"]
    x = np.zeros((draws.trials, length, 2), np.float32)
    x[:, :, NUMBER] = draws.uniform("numbers", (length,))
    rows = np.arange(draws.trials)
    half = length // 2
    for place in (draws.choices("first", half), half + draws.choices("second", length - half)):
        x[rows, place, MARK] = 1
    return x, (x[:, :, NUMBER] * x[:, :, MARK]).sum(axis=1)
