"""Perceptual decision: two noisy channels, which has the larger mean?

Source: Shakiba, Rokni, Mohammadi and Dehghani 2026, arXiv 2606.14975; Britten et al. 1992,
doi:10.1523/JNEUROSCI.12-12-04745.1992. Means and noise are those of PerceptualDecisionMaking-v0 of NeuroGym; the fixation
channel is on throughout, and there is one target, at the last step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cortexspec_tasks.draws import Array, Draws

FIXATION, FIRST = 0, 1
SETTINGS: Mapping[str, Any] = {
    "fixation": 1,
    "stimulus": 30,
    "delay": 10,
    "coherences": (0.0, 6.4, 12.8, 25.6, 51.2),
    "noise": 0.1,
}


def trials_of(draws: Draws, settings: Mapping[str, Any]) -> tuple[Array, Array]:
    """Inputs [trial, time, 3] (fixation, evidence for 0, evidence for 1) and the answers [trial], 0 or 1.

    While the stimulus is on, the channels have the means (1 + c/100)/2 and (1 - c/100)/2 at the coherence c in %, the larger one for
    the answer, and independent normal noise of standard deviation `noise` in each step.
    """
    fixation, stimulus, delay = (settings[name] for name in ("fixation", "stimulus", "delay"))
    coherences = np.asarray(settings["coherences"], float)
    answers = draws.choices("answer", 2)
    coherence = coherences[draws.choices("coherence", len(coherences))]
    sign = np.where(np.arange(2) == answers[:, np.newaxis], 1.0, -1.0)
    means = 0.5 + sign * coherence[:, np.newaxis] / 200
    inputs = np.zeros((draws.trials, fixation + stimulus + delay, 3), np.float32)
    inputs[:, :, FIXATION] = 1
    noise = settings["noise"] * draws.normal("noise", (stimulus, 2))
    inputs[:, fixation : fixation + stimulus, FIRST:] = means[:, np.newaxis, :] + noise
    return inputs, answers


def ideal_observer(
    coherences: Sequence[float] = SETTINGS["coherences"],
    stimulus: int = 30,
    noise: float = 0.1,
    input_noise: float = 0.0,
) -> float:
    """The share of right answers of an observer that sums all evidence: no model can be better on average.

    The mean over coherences c of Phi(c/100 sqrt(stimulus)/(sqrt 2 s)), where s is the standard deviation of a channel in one step,
    of which `input_noise` is what a circuit adds.
    """
    deviation = math.sqrt(2 * (noise**2 + input_noise**2))
    if deviation == 0:
        return float(np.mean([1.0 if c > 0 else 0.5 for c in coherences]))
    z = [c / 100 * math.sqrt(stimulus) / deviation for c in coherences]
    return float(np.mean([math.erfc(-one / math.sqrt(2)) / 2 for one in z]))
