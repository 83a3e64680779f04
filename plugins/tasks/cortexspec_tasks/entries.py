"""The tasks as data sets: their settings are judged, then trials are made for both splits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import numpy as np

from cortexspec.contracts.dataset import Dataset, DatasetEntry, Field, Places, Split
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.types import Type
from cortexspec_tasks import adding, go_nogo, one_choice, perceptual
from cortexspec_tasks.draws import Array, Draws

# Forty batches of 128, and the trials that are held out.
TRIALS: Mapping[str, Any] = {"trials": 5120, "held_out": 2560}
_CLASS, _NUMBER = Type((), "int"), Type((), "float")
Make = Callable[[Draws, Mapping[str, Any]], tuple[Array, Array]]


def task(
    name: str, make: Make, own: Mapping[str, Any], doc: str, answer: str = "label", type_: Type = _CLASS
) -> DatasetEntry:
    """A data set of fields `x` [trial, time, channel] and the answer [trial], whose trials are drawn by `make`."""

    def load(positional: tuple[Any, ...], settings: Mapping[str, Any], places: Places) -> Dataset:
        _check(name, settings)
        splits = {
            split: make(Draws(name, split, int(settings["seed"]), int(settings[count])), _whole(settings))
            for split, count in (("train", "trials"), ("test", "held_out"))
        }
        fingerprint = sha256()
        for inputs, answers in splits.values():
            fingerprint.update(np.ascontiguousarray(inputs).tobytes())
            fingerprint.update(np.ascontiguousarray(answers).tobytes())
        train, test = (
            Split({"x": Field(inputs, ("trial", "time")), answer: Field(answers)})
            for inputs, answers in splits.values()
        )
        length = splits["train"][0].shape[1]
        return Dataset(name, train, test, fingerprint.hexdigest(), f"{len(train):,} + {len(test):,} trials", length)

    fields = MappingProxyType({answer: type_})
    settings = MappingProxyType({**TRIALS, **own})
    return DatasetEntry(name, settings, doc, fields, choices=(), draws=True, load=load)


def _check(name: str, settings: Mapping[str, Any]) -> None:
    """Raises: SpecError CS505 for a number that does not fit."""
    for setting, value in settings.items():
        if setting == "coherences":
            fits = np.ndim(value) == 1 and len(value) > 0 and all(0 <= one <= 100 for one in value)
            wanted = "at least one number from 0 to 100"
        elif setting == "noise":
            fits, wanted = value >= 0, "a number, at least 0"
        elif setting == "seed":
            fits, wanted = float(value).is_integer(), "a whole number"
        else:
            least = 1 if setting in (*TRIALS, "stimulus", "options", "goal") else 2 if setting == "length" else 0
            fits, wanted = float(value).is_integer() and value >= least, f"a whole number, at least {least}"
        if not fits:
            raise SpecError([Diagnostic("CS505", f"`{setting}` of `{name}` is {wanted}, not {value}")])


def _whole(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Whole numbers as integers: a number that a spec writes may come as 20.0."""
    return {
        name: int(value) if isinstance(value, float) and name != "noise" else value for name, value in settings.items()
    }


DATASETS = (
    task(
        "one_choice",
        one_choice.trials_of,
        one_choice.SETTINGS,
        "One-Choice Inference: which of two directions leads to the goal that was shown; x[8], label 0 to 3",
    ),
    task("go_nogo", go_nogo.trials_of, go_nogo.SETTINGS, "Go/NoGo after a pause; x[3], label 0 for NoGo and 1 for Go"),
    task(
        "perceptual_decision",
        perceptual.trials_of,
        perceptual.SETTINGS,
        "which of two noisy channels has the larger mean; x[3], label 0 or 1",
    ),
    task(
        "adding",
        adding.trials_of,
        adding.SETTINGS,
        "the sum of the two numbers of a sequence that are marked; x[2], target a number",
        answer="target",
        type_=_NUMBER,
    ),
)
