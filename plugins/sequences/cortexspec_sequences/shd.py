"""`shd()` and `shd_adding()`: spoken digits as spikes of many channels, one digit, or two whose sum is asked for.

The Spiking Heidelberg Digits (Cramer, Stradmann, Schemmel & Zenke 2020, doi:10.1109/TNNLS.2020.3044364) are HDF5 files of the user's:
`spikes/times` in s, `spikes/units`, `labels` 0-9 English and 10-19 German. `"synthetic"` is an embedded stand-in of 70 channels
(`cortexspec_sequences.spoken`). SHD-Adding is of Spieler et al. 2024, arXiv 2306.16922, section 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from cortexspec.contracts.dataset import Array, Dataset, DatasetEntry, Field, Places, Split
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.types import Type
from cortexspec_sequences import errors
from cortexspec_sequences.views import Made

EMBEDDED = Path(__file__).parent / "data" / "spoken_digits.npz"
FILES = {"train": "shd_train.h5", "test": "shd_test.h5"}
CHANNELS = {"shd": 700, "synthetic": 70}
HELD_OUT_SPEAKERS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Recordings:
    """`times` in ms and `units` of all spikes, a recording after the other; `starts` [recording + 1]; `labels` [recording]."""

    times: Array
    units: Array
    starts: Array
    labels: Array
    channels: int

    def __len__(self) -> int:
        return len(self.labels)

    def only(self, which: Array) -> Recordings:
        places = np.concatenate([np.arange(self.starts[one], self.starts[one + 1]) for one in which] or [[]]).astype(
            int
        )
        starts = np.concatenate([[0], np.cumsum(np.diff(self.starts)[which])])
        return Recordings(self.times[places], self.units[places], starts, self.labels[which], self.channels)

    def binned(self, which: Array, width: float, bins: int) -> Array:
        """Whether a channel fired in a bin [recording, bin, channel] as 0 or 1; what comes after the last bin is left out."""
        made = np.zeros((len(which), bins, self.channels), np.float32)
        for row, one in enumerate(which):
            spikes = slice(self.starts[one], self.starts[one + 1])
            frames = np.floor(self.times[spikes] / width + 1e-9).astype(int)
            early = frames < bins
            made[row, frames[early], self.units[spikes][early]] = 1
        return made


def read_hdf5(path: Path) -> Recordings:
    """A file of the Spiking Heidelberg Digits. Raises: SpecError CS906 for a missing key, CS911 for another format."""
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise errors.malformed(path, f"it is no HDF5 file ({error})") from None
    with file:
        for key in ("spikes/times", "spikes/units", "labels"):
            if key not in file:
                raise errors.no_key(path, key)
        times, units = ([np.asarray(one) for one in file[key]] for key in ("spikes/times", "spikes/units"))
        labels = np.asarray(file["labels"]).astype(np.int64)
    lengths = [len(one) for one in times]
    if lengths != [len(one) for one in units] or len(lengths) != len(labels):
        raise errors.malformed(path, "its recordings, their units and their labels are not as many")
    whole = np.concatenate(units).astype(np.int64) if units else np.zeros(0, np.int64)
    if len(whole) and (whole.min() < 0 or whole.max() >= CHANNELS["shd"]):
        raise errors.malformed(path, f"it has the unit {whole.max()}, and there are {CHANNELS['shd']}")
    ms = 1000 * np.concatenate(times).astype(float) if times else np.zeros(0)
    return Recordings(ms, whole, np.concatenate([[0], np.cumsum(lengths)]), labels, CHANNELS["shd"])


def recordings(name: str, places: Places) -> dict[str, Recordings]:
    """The splits `train` and `test`. Raises: SpecError as `read_hdf5`, CS901 where a file is not there."""
    if name == "synthetic":
        with np.load(EMBEDDED) as file:
            starts = np.concatenate([[0], file["ends"]])
            all_ = Recordings(file["times"], file["units"], starts, file["labels"].astype(np.int64), CHANNELS[name])
            late = file["speakers"] >= file["speakers"].max() + 1 - HELD_OUT_SPEAKERS
        return {"train": all_.only(np.flatnonzero(~late)), "test": all_.only(np.flatnonzero(late))}
    help = 'name the folder that holds it with `--data`, or take the embedded `"synthetic"` digits'
    return {split: read_hdf5(errors.found(file, places, help)) for split, file in FILES.items()}


@dataclass(frozen=True, slots=True)
class _Bins:
    width: float
    count: int

    @staticmethod
    def of(settings: Mapping[str, Any], name: str) -> _Bins:
        width, duration = float(settings["bin"]), float(settings["duration"])
        count = round(duration / width) if width > 0 else 0
        if count < 1 or abs(count * width - duration) > 1e-6 * duration:
            message = f"`duration` of `{name}`, {duration:g} ms, is no whole number of bins of {width:g} ms"
            raise SpecError([Diagnostic("CS505", message)])
        return _Bins(width, count)


def _whose(name: str) -> str:
    return "spoken digits, SYNTHETIC" if name == "synthetic" else "recordings of SHD"


def _fingerprint(splits: Mapping[str, Recordings], *told: object) -> str:
    digest = sha256(repr(told).encode())
    for one in splits.values():
        for array in (one.times, one.units, one.starts, one.labels):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def load_shd(positional: tuple[Any, ...], settings: Mapping[str, Any], places: Places) -> Dataset:
    """Fields `x` [trial, time, channel], 1 where a channel fires in a bin, and `label` [trial] from 0 to 19. Raises: SpecError."""
    name = str(positional[0]) if positional else "shd"
    bins = _Bins.of(settings, "shd")
    found = recordings(name, places)

    def split(one: Recordings) -> Split:
        x = Made((len(one), bins.count, one.channels), lambda which: one.binned(which, bins.width, bins.count))
        return Split({"x": Field(x, ("trial", "time")), "label": Field(one.labels)})

    note = f"{len(found['train']):,} + {len(found['test']):,} {_whose(name)}"
    told = _fingerprint(found, "shd", bins)
    return Dataset("shd", split(found["train"]), split(found["test"]), told, note, bins.count)


def load_adding(positional: tuple[Any, ...], settings: Mapping[str, Any], places: Places) -> Dataset:
    """Two digits one after the other, drawn with replacement; `label` [trial] is their sum, 0 to 18, whatever the languages.

    `x` [trial, time, channel] has 2 x duration/bin steps, with nothing between the digits. Raises: SpecError.
    """
    name = str(positional[0]) if positional else "shd"
    bins = _Bins.of(settings, "shd_adding")
    counts = {
        split: errors.whole(settings, one, 1, "shd_adding")
        for split, one in (("train", "trials"), ("test", "held_out"))
    }
    found, seed = recordings(name, places), int(settings["seed"])

    def split(which: str) -> Split:
        one = found[which]
        # What is held out is the same for every seed, so that networks are compared on one set.
        draw = np.random.default_rng([seed + 1, 0] if which == "train" else [0, 1])
        pairs = draw.integers(0, len(one), size=(counts[which], 2))
        x = Made((len(pairs), 2 * bins.count, one.channels), _pairs_of(one, pairs, bins))
        label = (one.labels[pairs] % 10).sum(axis=1)
        return Split({"x": Field(x, ("trial", "time")), "label": Field(label)})

    train, test = split("train"), split("test")
    note = f"{len(train):,} + {len(test):,} pairs of {len(found['train']):,} + {len(found['test']):,} {_whose(name)}"
    told = _fingerprint(found, "shd_adding", bins, counts, seed)
    return Dataset("shd_adding", train, test, told, note, 2 * bins.count)


def _pairs_of(one: Recordings, pairs: Array, bins: _Bins) -> Callable[[Array], Array]:
    def make(which: Array) -> Array:
        chosen = pairs[which]
        made = one.binned(chosen.reshape(-1), bins.width, bins.count)
        return made.reshape(len(chosen), 2 * bins.count, one.channels)

    return make


_LABEL = MappingProxyType({"label": Type((), "int")})
_TIMES: Mapping[str, Any] = {"bin": 2, "duration": 1000}
SHD = DatasetEntry(
    "shd",
    MappingProxyType({**_TIMES}),
    "Spoken digits as spikes: x 0 or 1 by channel, label 0 to 19; times in ms",
    _LABEL,
    choices=tuple(CHANNELS),
    load=load_shd,
)
SHD_ADDING = DatasetEntry(
    "shd_adding",
    MappingProxyType({**_TIMES, "trials": 16000, "held_out": 4000}),
    "Two spoken digits one after the other: label is their sum, 0 to 18",
    _LABEL,
    choices=tuple(CHANNELS),
    draws=True,
    load=load_adding,
)
