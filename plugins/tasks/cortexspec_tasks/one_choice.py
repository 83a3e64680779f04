"""One-Choice Inference: a goal, a pause, two directions of which one leads to the goal.

Source: Shakiba, Rokni, Mohammadi and Dehghani 2026, arXiv 2606.14975; the task of Achterberg et al. 2023, doi:10.1038/s42256-023-00748-9.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cortexspec_tasks.draws import Array, Draws

GOALS = ("up left", "up right", "down left", "down right")
DIRECTIONS = ("left", "up", "right", "down")
# (goal, the options, the one that leads to the goal). The corners' names are our reading of four numbers.
TRIALS = (
    ("up right", ("left", "up"), "up"),
    ("up right", ("right", "down"), "right"),
    ("down right", ("left", "down"), "down"),
    ("down left", ("right", "down"), "down"),
    ("down left", ("left", "up"), "left"),
    ("up left", ("up", "right"), "up"),
    ("down right", ("left", "right"), "right"),
    ("up left", ("left", "right"), "left"),
)
SETTINGS: Mapping[str, Any] = {"goal": 20, "delay": 10, "options": 20}


def trials_of(draws: Draws, settings: Mapping[str, Any]) -> tuple[Array, Array]:
    """Inputs [trial, time, 8] (four goals, then four directions, each 0 or 1) and the answers [trial] as places in DIRECTIONS."""
    sequences, answers = sequences_of(settings["goal"], settings["delay"], settings["options"])
    which = draws.choices("trial", len(TRIALS))
    return sequences[which], answers[which]


def sequences_of(goal: int, delay: int, options: int) -> tuple[Array, Array]:
    """The eight trials there are [8, time, channel], and their answers [8]."""
    sequences = np.zeros((len(TRIALS), goal + delay + options, len(GOALS) + len(DIRECTIONS)), np.float32)
    answers = np.zeros(len(TRIALS), np.int64)
    for place, (aim, offered, answer) in enumerate(TRIALS):
        sequences[place, :goal, GOALS.index(aim)] = 1
        for direction in offered:
            sequences[place, goal + delay :, len(GOALS) + DIRECTIONS.index(direction)] = 1
        answers[place] = DIRECTIONS.index(answer)
    return sequences, answers
