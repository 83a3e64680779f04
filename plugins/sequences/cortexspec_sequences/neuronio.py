"""`neuronio("FOLDER")`: a detailed model of a cortical neuron, its synaptic input and its answer, millisecond by millisecond.

Files `*.p` as Beniaguev, Segev & London 2021 (doi:10.1016/j.neuron.2021.07.002) publish them: a pickled dictionary with
`Results/listOfSingleSimulationDicts`, in each the times (ms) of excitatory and inhibitory input spikes by synapse, of output spikes, and
the voltage of the soma at 1 kHz. Only numbers, lists and arrays are unpickled: a file that names anything else is refused.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from cortexspec.contracts.dataset import Array, Dataset, DatasetEntry, Field, Places, Split
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec_sequences import errors
from cortexspec_sequences.views import Made

CAP, MEAN, SCALE = -55.0, -67.7, 0.1  # mV; as in Spieler et al. 2024
_KEYS = ("exInputSpikeTimes", "inhInputSpikeTimes", "outputSpikeTimes", "somaVoltageLowRes")
_ALLOWED = {
    ("numpy", "ndarray"), ("numpy", "dtype"), ("builtins", "set"), ("builtins", "bytearray"), ("collections", "OrderedDict"),
    ("_codecs", "encode"),
} | {
    (f"numpy.{core}.{part}", name)
    for core in ("core", "_core")
    for part, name in (("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer"))
}  # fmt: skip


class _OnlyNumbers(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names `{module}.{name}`, which is no number, list or array")
        return super().find_class(module, name)


@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """Spikes of the inputs by input and step, excitatory inputs first; output spikes [step]; voltage of the soma [step], mV."""

    inputs: Array
    steps: Array
    spikes: Array
    soma: Array
    channels: int

    def window(self, start: int, length: int) -> Array:
        """The inputs [step, channel] as 0 or 1."""
        made = np.zeros((length, self.channels), np.float32)
        inside = (self.steps >= start) & (self.steps < start + length)
        made[self.steps[inside] - start, self.inputs[inside]] = 1
        return made


def read_file(path: Path) -> tuple[Simulation, ...]:
    """The simulations of one file. Raises: SpecError CS906 for a missing key, CS911 for what is no such pickle."""
    try:
        found = _OnlyNumbers(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, ValueError, AttributeError, ImportError, IndexError) as error:
        raise errors.malformed(path, str(error)) from None
    for key in ("Results", "listOfSingleSimulationDicts"):
        if not isinstance(found, Mapping) or key not in found:
            raise errors.no_key(path, key)
        found = found[key]
    return tuple(_simulation(path, one) for one in found)


def _simulation(path: Path, found: Mapping[str, Any]) -> Simulation:
    for key in _KEYS:
        if key not in found:
            raise errors.no_key(path, key)
    sides = [list(_spikes(found[key])) for key in _KEYS[:2]]
    each = [max((row for row, _ in side), default=-1) + 1 for side in sides]
    half = max(639 if max(each) <= 639 else 0, *each)  # of each sign
    pairs = [(row + place * half, step) for place, side in enumerate(sides) for row, step in side]
    inputs, steps = (np.array([pair[i] for pair in pairs], np.int64) for i in (0, 1))
    soma = np.asarray(found["somaVoltageLowRes"], float)
    spikes = np.zeros(len(soma), np.float32)
    # A spike is told in the middle of its millisecond.
    spikes[np.clip((np.asarray(found["outputSpikeTimes"], float) - 0.5).astype(int), 0, len(soma) - 1)] = 1
    return Simulation(inputs, steps, spikes, soma, 2 * half)


def _spikes(by_row: Mapping[int, Sequence[int]]) -> Iterator[tuple[int, int]]:
    for row, times in by_row.items():
        for step in times:
            yield int(row), int(step)


def load_neuronio(positional: tuple[Any, ...], settings: Mapping[str, Any], places: Places) -> Dataset:
    """Fields `x` [trial, time, channel], `spike` [trial, time] and `soma` [trial, time], (mV + 67.7)/10, capped at -55 mV.

    Trials are windows of `window` ms, without the first `ignored` ms of a simulation; the last tenth of the simulations are held out.
    Raises: SpecError CS901, CS906, CS908, CS911.
    """
    name = str(positional[0]) if positional else "neuronio"
    window, ignored = errors.whole(settings, "window", 1, "neuronio"), errors.whole(settings, "ignored", 0, "neuronio")
    files = _files(name, places)
    simulations = [one for file in files for one in read_file(file)]
    held = max(1, len(simulations) // 10)
    splits = {"train": simulations[:-held], "test": simulations[-held:]}
    digest = sha256(repr((window, ignored)).encode())
    for one in simulations:
        digest.update(one.inputs.tobytes() + one.steps.tobytes() + one.soma.tobytes() + one.spikes.tobytes())
    made = {which: _split(found, window, ignored) for which, found in splits.items()}
    if not all(len(one) for one in made.values()):
        long = len(simulations[0].soma) if simulations else 0
        message = f"{len(simulations)} simulations of {long:,} ms have no window of {window:,} ms in both splits"
        raise errors.too_short(message, "a shorter `window`, or more files")
    note = f"{len(made['train']):,} + {len(made['test']):,} windows of {len(simulations):,} simulations of NeuronIO"
    return Dataset("neuronio", made["train"], made["test"], digest.hexdigest(), note, window)


def _files(name: str, places: Places) -> list[Path]:
    for folder in (places.data, places.folder):
        if folder is not None and (folder / name).resolve().is_relative_to(folder.resolve()):
            found = sorted((folder / name).glob("*.p"))
            if found:
                return found
    raise errors.missing(f"{name}/*.p", "name the folder that holds that folder with `--data`")


def _split(simulations: Sequence[Simulation], window: int, ignored: int) -> Split:
    windows = [(one, start) for one in simulations for start in range(ignored, len(one.soma) - window + 1, window)]
    channels = simulations[0].channels if simulations else 0

    def inputs(which: Array) -> Array:
        return np.stack([windows[place][0].window(windows[place][1], window) for place in which])

    spikes = np.array([one.spikes[start : start + window] for one, start in windows], np.float32)
    soma = np.array([one.soma[start : start + window] for one, start in windows])
    axes = ("trial", "time")
    x = Field(Made((len(windows), window, channels), inputs), axes)
    return Split({"x": x, "spike": Field(spikes, axes), "soma": Field(SCALE * (np.minimum(soma, CAP) - MEAN), axes)})


_TIME = Axis("time", Size.symbol("time"), "time")
NEURONIO = DatasetEntry(
    "neuronio",
    MappingProxyType({"window": 500, "ignored": 500}),
    "Synaptic input of a detailed neuron model, its spikes and the voltage of its soma, in ms",
    MappingProxyType({"spike": Type((_TIME,)), "soma": Type((_TIME,))}),
    load=load_neuronio,
)
