"""The training loop: the same batches, the same updates and the same result after an interrupt, whatever the backend.

A backend's `Trainer` makes the updates; this loop owns what surrounds them: the order of the data, the schedule, the record of
what happened (one JSON line an epoch, written as it happens) and the checkpoint after each epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cortexspec.contracts.backend import Recipe, Trainer
from cortexspec.contracts.dataset import Dataset
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.experiments.claim import number_of
from cortexspec.experiments.record import keep, kept
from cortexspec.expressions.parse import parse_expression

Array = np.ndarray[Any, Any]
_RESETS = 1 << 63  # of the keys of draws: epochs have those below


@dataclass(frozen=True, slots=True)
class Plan:
    """What the `train` section of an experiment asks for, as numbers.

    `steps` is the number of updates where the section gives steps instead of epochs. `carry_state`: a batch goes on from the
    states in which the one before it ended, values without a gradient; at an update all states begin anew with the
    probability `reset_chance`, an expression of `step`, the number of updates before it ("" for never).
    """

    optimizer: str = "adam"
    options: Mapping[str, float] = field(default_factory=dict[str, float])
    schedule: str = "constant"
    warm_up: int = 0
    batch: int = 128
    epochs: int = 10
    steps: int | None = None
    clip: float | None = None
    shuffle: bool = True
    carry_state: bool = False
    reset_chance: str = ""

    def updates(self, trials: int) -> int:
        """The number of updates over `trials` training examples; the last, smaller batch of an epoch counts too."""
        return self.steps if self.steps is not None else self.epochs * math.ceil(trials / self.batch)

    def recipe(self, trials: int, trainable: Sequence[str], carried: Mapping[str, str] | None = None) -> Recipe:
        return Recipe(
            optimizer=self.optimizer,
            options=dict(self.options),
            learning_rates=tuple(schedule_factors(self.schedule, self.updates(trials), self.warm_up)),
            clip=self.clip,
            trainable=tuple(trainable),
            carried=dict(carried or {}) if self.carry_state else {},
        )

    def begins_anew(self, seed: int, update: int) -> bool:
        """Whether all states are reset before this update, which depends on the seed and on nothing that was drawn before.

        Raises: SpecError CS512 where the chance is no probability.
        """
        if not self.reset_chance:
            return False
        chance = number_of(parse_expression(self.reset_chance), step=update)
        if not -1e-9 <= chance <= 1 + 1e-9:
            message = f"`reset_chance` is {chance:g} at step {update}, which is no probability"
            raise SpecError([Diagnostic("CS512", message)])
        drawn = np.random.Generator(np.random.Philox(key=[seed, _RESETS + update])).random()
        return bool(drawn < chance)


def schedule_factors(name: str, updates: int, warm_up: int = 0) -> list[float]:
    """The factor on the learning rate at each update: `constant`, or `cosine` from 1 towards 0 after a linear warm-up.

    Source: Loshchilov & Hutter 2017 (SGDR), eq. 5, one period.
    Raises: SpecError CS913 for another name.
    """
    if name not in ("constant", "cosine"):
        raise SpecError([Diagnostic("CS913", f"no schedule is called `{name}`", help="known are: constant, cosine")])
    factors: list[float] = []
    for update in range(updates):
        if update < warm_up:
            factors.append((update + 1) / warm_up)
        elif name == "cosine":
            factors.append(0.5 * (1 + math.cos(math.pi * (update - warm_up) / max(1, updates - warm_up))))
        else:
            factors.append(1.0)
    return factors


def order_of(trials: int, seed: int, epoch: int, shuffle: bool = True) -> Array:
    """The order in which an epoch visits the training examples [trials]: a function of seed and epoch alone."""
    if not shuffle:
        return np.arange(trials)
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(trials)


def check_streams(plan: Plan, dataset: Dataset) -> None:
    """Raises: SpecError CS926 where states are carried on, and the batches do not go on from each other."""
    if not plan.carry_state:
        return
    if not dataset.streams:
        message = f"`carry_state` wants segments that follow each other, and those of `{dataset.name}` do not"
        raise SpecError([Diagnostic("CS926", message, help="leave out `carry_state`")])
    if plan.batch != dataset.streams:
        message = f"`carry_state` wants one trial of each stream in a batch: `batch` is {plan.batch}, and there are {dataset.streams}"
        raise SpecError([Diagnostic("CS926", message, help=f"write `batch = {dataset.streams}`")])


class Trained(Protocol):
    """What the loop needs of a session (experiments.session): a loaded program with its data."""

    seed: int

    @property
    def trials(self) -> int: ...

    @property
    def running(self) -> Collection[str]:
        """The scalars of a training step whose mean over each epoch is kept, weighted by the trials of a batch."""
        ...

    def trainer(self, recipe: Recipe) -> Trainer: ...
    def trainable(self) -> Sequence[str]: ...
    @property
    def carried(self) -> Mapping[str, str]:
        """Of a training step, the outputs that go on as inputs, by the names of these."""
        ...

    def batch(self, places: Array, first_trial: int) -> Mapping[str, Array]: ...
    def anew(self, places: Array, first_trial: int) -> Mapping[str, Array]:
        """The states in which these trials begin, as inputs of a training step."""
        ...

    def after(self, segment: int) -> Mapping[str, Array]:
        """What tells a training step how many steps its segment comes after."""
        ...

    def held_out(self) -> Mapping[str, float]: ...
    def arrays(self) -> dict[str, Array]: ...
    def set_arrays(self, arrays: Mapping[str, Array]) -> None: ...


Report = Callable[[int, int, Mapping[str, float]], None]  # updates done, updates in all, the latest numbers


def train(
    session: Trained, plan: Plan, folder: Path | None = None, report: Report | None = None, identity: str = ""
) -> list[dict[str, float]]:
    """Trains; gives one record an epoch: loss (mean over its updates), running means, held-out measures, seconds.

    A running mean is over the training trials as each batch met them: before its update, with the noise of training on.

    With a `folder`, metrics.jsonl grows as epochs end and a checkpoint is kept, so that a call with the same folder goes
    on where the last one stopped, to the same result. `identity` guards the checkpoint: that of another circuit or plan
    is refused (CS914).
    Raises: SpecError CS915 where the loss or a parameter is no number, naming epoch and update.
    """
    recipe = plan.recipe(session.trials, session.trainable(), session.carried)
    trainer = session.trainer(recipe)
    per_epoch = math.ceil(session.trials / plan.batch)
    total = plan.updates(session.trials)
    done, history = _resume(session, trainer, folder, identity)
    while done < total:
        epoch = done // per_epoch
        order: Array = order_of(session.trials, session.seed, epoch, plan.shuffle and not plan.carry_state)
        losses: list[float] = []
        met, sums = 0, dict.fromkeys(session.running, 0.0)
        started = time.perf_counter()
        for place in range(0, session.trials, plan.batch):
            if done >= total:
                break
            places = order[place : place + plan.batch]
            numbers = trainer.step(_inputs(session, plan, places, epoch, place, done))
            done += 1
            met += len(places)
            for name in sums:
                sums[name] += numbers[name] * len(places)
            losses.append(numbers["loss"])
            if not math.isfinite(numbers["loss"]):
                where = f"at update {done} (epoch {epoch + 1})"
                raise diverged(f"the loss is {numbers['loss']} {where}{_not_finite(session)}")
            if report is not None:
                report(done, total, numbers)
        if wrong := _not_finite(session):
            raise diverged(f"after update {done} (epoch {epoch + 1}){wrong}")
        record = {
            "epoch": epoch + 1,
            "loss": float(np.mean(losses)),
            **{name: total / met for name, total in sums.items()},
            **session.held_out(),
            "seconds": time.perf_counter() - started,
        }
        history.append(record)
        if folder is not None:
            _keep(session, trainer, folder, identity, done, history)
    return history


def _inputs(session: Trained, plan: Plan, places: Array, epoch: int, place: int, done: int) -> Mapping[str, Array]:
    """Those of one update. A stream is one long trial: its number and its time go on from segment to segment."""
    if not plan.carry_state:
        return session.batch(places, epoch * session.trials + place)
    first = epoch * plan.batch
    inputs = {**session.batch(places, first), **session.after(place // plan.batch)}
    if place == 0 or plan.begins_anew(session.seed, done):
        inputs |= session.anew(places, first)
    return inputs


def _not_finite(session: Trained) -> str:
    """Which trained parameters left the finite numbers; nothing of them is kept."""
    arrays = session.arrays()
    names = [name for name in session.trainable() if not np.isfinite(arrays[f"p/{name}"]).all()]
    return (
        f": {', '.join(f'`{name}`' for name in names[:5])} {'is' if len(names) == 1 else 'are'} not finite"
        if names
        else ""
    )


def diverged(why: str) -> SpecError:
    """The error for numbers that left the finite range. In `reproduce` it is a result, not a crash."""
    return SpecError([Diagnostic("CS915", f"training diverged: {why}", help="a smaller lr or dt, or `clip = 1`")])


def _keep(
    session: Trained, trainer: Trainer, folder: Path, identity: str, done: int, history: list[dict[str, float]]
) -> None:
    arrays = {f"model/{name}": array for name, array in session.arrays().items()}
    arrays |= {f"optimizer/{name}": array for name, array in trainer.state().items()}
    keep(folder, identity, done, history, arrays)


def _resume(
    session: Trained, trainer: Trainer, folder: Path | None, identity: str
) -> tuple[int, list[dict[str, float]]]:
    found = kept(folder, identity)
    if found is None:
        return 0, []
    session.set_arrays(found.under("model/"))
    trainer.restore(found.under("optimizer/"))
    return found.done, found.history
