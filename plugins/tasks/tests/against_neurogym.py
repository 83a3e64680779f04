"""The trials of `go_nogo` and `perceptual_decision` against those of NeuroGym 2.3.1, which pins versions that this project does not use.

So it is no part of the test suite: it runs in an environment of its own, from the root of the repository,

    python3 -m venv oracle
    oracle/bin/pip install neurogym==2.3.1 -e . -e plugins/tasks
    oracle/bin/python plugins/tasks/tests/against_neurogym.py

and prints each comparison, with exit code 1 if one fails. Where the tasks of the paper differ from NeuroGym's (fixation during the
stimulus, the decision period), the difference itself is what is compared with.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from typing import Any
from unittest.mock import MagicMock

# Its recording wrappers import torch, which it does not require and which no task uses.
if importlib.util.find_spec("torch") is None:
    for module in ("torch", "torch.nn", "torch.utils", "torch.utils.data"):
        sys.modules[module] = MagicMock()

import neurogym
import numpy as np
from cortexspec_tasks import DATASETS
from neurogym.envs.native.gonogo import GoNogo
from neurogym.envs.native.perceptualdecisionmaking import PerceptualDecisionMaking

from cortexspec.contracts.dataset import Places

ENTRIES = {entry.name: entry for entry in DATASETS}
TRIALS = 4000


@dataclass(frozen=True)
class Compared:
    what: str
    ours: float
    theirs: float
    within: float

    @property
    def holds(self) -> bool:
        return abs(self.ours - self.theirs) <= self.within


def ours(name: str, **settings: Any) -> tuple[np.ndarray, np.ndarray]:
    entry = ENTRIES[name]
    given = {"seed": 1, **entry.settings, "trials": TRIALS, "held_out": 1, **settings}
    fields = entry.load((), given, Places()).train.fields
    return fields["x"].array, fields["label"].array


def theirs(env: Any, **trial: Any) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    env.seed(1)
    seen, answers, about = [], [], []
    for _ in range(TRIALS):
        about.append(env.new_trial(**trial))
        seen.append(env.ob.copy())
        answers.append(about[-1]["ground_truth"])
    return np.stack(seen), np.array(answers), about


def go_nogo() -> list[Compared]:
    """The same two trials, apart from fixation during the stimulus."""
    x, label = ours("go_nogo")
    env = GoNogo(timing={"fixation": 500, "stimulus": 2000, "delay": 1000, "decision": 500})
    y, answers, _ = theirs(env)
    found = [Compared("go_nogo: steps", x.shape[1], y.shape[1], 0)]
    for answer in (0, 1):
        mine, other = x[label == answer][0], y[answers == answer][0]
        differ = np.argwhere(mine != other)
        only_fixation = all(channel == 0 and 5 <= step < 25 for step, channel in differ)
        name = ("NoGo", "Go")[answer]
        found.append(
            Compared(f"go_nogo, {name}: values that differ (fixation in the 20 steps of the cue)", len(differ), 20, 0)
        )
        found.append(Compared(f"go_nogo, {name}: all of them there", float(only_fixation), 1, 0))
    found.append(Compared("go_nogo: share of Go", label.mean(), answers.mean(), 4 * np.sqrt(0.5 / TRIALS)))
    return found


def perceptual(coherence: float) -> list[Compared]:
    """Means and standard deviations of evidence at one coherence, for each answer."""
    x, label = ours("perceptual_decision", coherences=(coherence,))
    env = PerceptualDecisionMaking(timing={"fixation": 100, "stimulus": 3000, "delay": 1000, "decision": 0})
    y, answers, _ = theirs(env, coh=coherence)
    found = [Compared(f"perceptual, {coherence} %: steps", x.shape[1], y.shape[1], 0)]
    for answer in (0, 1):
        mine, other = x[label == answer], y[answers == answer]
        values = 30 * min(len(mine), len(other))
        for channel in (1, 2):
            one, two = (each[:, 1:31, channel].astype(float) for each in (mine, other))
            place = f"perceptual, {coherence} %, answer {answer}, channel {channel}"
            found.append(Compared(f"{place}: mean", one.mean(), two.mean(), 4 * 0.1 * np.sqrt(2 / values)))
            found.append(Compared(f"{place}: sd", one.std(), two.std(), 4 * 0.1 * np.sqrt(1 / values)))
    rest_ours, rest_theirs = x[:, [0, *range(31, 41)], 1:], y[:, [0, *range(31, 41)], 1:]
    found.append(
        Compared(
            f"perceptual, {coherence} %: evidence outside the stimulus",
            float(rest_ours.any()),
            float(rest_theirs.any()),
            0,
        )
    )
    return found


def mixed() -> list[Compared]:
    """Coherences and answers are drawn alike, and summing the evidence is right as often."""
    x, label = ours("perceptual_decision")
    y, answers, about = theirs(PerceptualDecisionMaking(timing={"fixation": 100, "stimulus": 3000, "delay": 1000}))
    right = [float(np.mean((z[..., 2].sum(1) > z[..., 1].sum(1)) == k)) for z, k in ((x, label), (y, answers))]
    coherence = np.array([trial["coh"] for trial in about])
    return [
        Compared("perceptual: share of answer 1", label.mean(), answers.mean(), 4 * np.sqrt(0.5 / TRIALS)),
        Compared("perceptual: right by summing the evidence", *right, 4 * np.sqrt(2 * 0.09 / TRIALS)),
        Compared("perceptual: mean coherence", 19.2, coherence.mean(), 4 * coherence.std() / np.sqrt(TRIALS)),
    ]


def main() -> int:
    print(f"NeuroGym {neurogym.__version__}, numpy {np.__version__}, {TRIALS:,} trials each")
    found = [*go_nogo(), *(one for c in (0.0, 12.8, 51.2) for one in perceptual(c)), *mixed()]
    for one in found:
        verdict = "ok" if one.holds else "DIFFERS"
        print(f"{verdict:8}{one.what}: ours {one.ours:.5g}, theirs {one.theirs:.5g}, within {one.within:.2g}")
    wrong = sum(not one.holds for one in found)
    print(f"{len(found) - wrong} of {len(found)} agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
