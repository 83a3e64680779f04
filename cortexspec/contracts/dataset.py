"""What a data set signs: named fields over trials, a training and a held-out split, and a fingerprint of what was read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from cortexspec.ir.types import Type

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """`axes` names the leading axes: "trial", then "time" where the field has one frame a step; own axes follow unnamed.

    Floats are in the coherent unit that the input of the same name has; integers are class labels. `array` may be anything
    with `shape` and `len` that gives the trials at some places as an array: what would not fit in memory is made as it is read.
    """

    array: Array
    axes: tuple[str, ...] = ("trial",)


@dataclass(frozen=True, slots=True)
class Split:
    """Fields of one length along the trial axis."""

    fields: Mapping[str, Field]

    def __len__(self) -> int:
        return len(next(iter(self.fields.values())).array)

    def take(self, places: Array) -> dict[str, Array]:
        """The named trials of every field."""
        return {name: field.array[places] for name, field in self.fields.items()}

    def batch(self, places: Array) -> dict[str, Field]:
        """The named trials of every field, with the names of its axes."""
        return {name: Field(array, self.fields[name].axes) for name, array in self.take(places).items()}


@dataclass(frozen=True, slots=True)
class Dataset:
    """`length`: the number of frames where the fields have a time axis. `fingerprint`: SHA-256 over the arrays.

    `streams`: where trials are segments of longer streams, how many of those run side by side: trial i of a split is
    segment i // streams of stream i % streams. 0 where trials do not go on from each other.
    """

    name: str
    train: Split
    test: Split
    fingerprint: str
    note: str = ""
    length: int | None = None
    streams: int = 0


@dataclass(frozen=True, slots=True)
class Places:
    """Where data may be read from: the folder of the spec and the data folder that the user named. Nothing outside them."""

    folder: Path | None = None
    data: Path | None = None


@dataclass(frozen=True, slots=True)
class DatasetSignature:
    """What a spec may write of a data set: `NAME("choice", setting = value)`, judged before anything is read.

    `settings` are the named arguments with their defaults, whose kind (true or false, text, number) a value must have.
    `choices` are what the argument without a name may be, the first its default; None where only the data tell.
    `fields` are the types, without the trials in front, of what it has besides the circuit's own inputs; None where only
    the data tell. One that `draws` its trials has the setting `seed` besides, by default the seed of the cell that reads it.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    doc: str = ""
    fields: Mapping[str, Type] | None = None
    choices: tuple[str, ...] | None = None
    draws: bool = False


@dataclass(frozen=True, slots=True)
class DatasetEntry(DatasetSignature):
    """`load(positional, settings, places)` raises SpecError CS901 where a file is not there, CS911 where it is malformed."""

    load: Callable[[tuple[Any, ...], Mapping[str, Any], Places], Dataset] = field(kw_only=True)
