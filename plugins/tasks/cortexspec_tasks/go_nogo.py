"""Go/NoGo: a cue says whether to respond; the response comes after a pause, of which the last steps have no input at all.

Source: Shakiba, Rokni, Mohammadi and Dehghani 2026, arXiv 2606.14975. Unlike GoNogo-v0 of NeuroGym, fixation is off while the
cue is on, and there is one target, at the last step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cortexspec_tasks.draws import Array, Draws

FIXATION, NO_GO, GO = 0, 1, 2
SETTINGS: Mapping[str, Any] = {"fixation": 5, "stimulus": 20, "delay": 10, "silence": 5}


def trials_of(draws: Draws, settings: Mapping[str, Any]) -> tuple[Array, Array]:
    """Inputs [trial, time, 3] (fixation, NoGo, Go, each 0 or 1) and the answers [trial]: 0 for NoGo, 1 for Go."""
    sequences = sequences_of(**{name: settings[name] for name in SETTINGS})
    which = draws.choices("cue", 2)
    return sequences[which], which


def sequences_of(fixation: int, stimulus: int, delay: int, silence: int) -> Array:
    """The two trials there are [2, time, channel], NoGo first."""
    sequences = np.zeros((2, fixation + stimulus + delay + silence, 3), np.float32)
    shown = slice(fixation, fixation + stimulus)
    sequences[:, :fixation, FIXATION] = 1
    sequences[0, shown, NO_GO] = 1
    sequences[1, shown, GO] = 1
    sequences[:, fixation + stimulus : fixation + stimulus + delay, FIXATION] = 1
    return sequences
