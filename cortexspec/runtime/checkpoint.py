"""Checkpoints: natural parameter values and running buffers in one safetensors file, bound to the circuit's hash. No pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.op import Array
from cortexspec.runtime.files import read_safetensors, write_whole

FORMAT = "cortexspec-checkpoint-1"
_PARAMETER, _BUFFER = "parameter/", "buffer/"


def write_checkpoint(
    path: Path, identity: str, circuit: str, parameters: Mapping[str, Array], buffers: Mapping[str, Array]
) -> None:
    """Writes a checkpoint whole or not at all. Arrays are in written axis order, so any backend and layout reads them.

    Raises: SpecError CS919 where the file cannot be written.
    """
    from safetensors.numpy import save

    arrays = {_PARAMETER + name: array for name, array in parameters.items()}
    arrays |= {_BUFFER + name: array for name, array in buffers.items()}
    metadata = {"format": FORMAT, "identity": identity, "circuit": circuit}
    content = save({name: np.array(array, order="C") for name, array in arrays.items()}, metadata)
    write_whole(path, content)


def read_checkpoint(
    path: Path, identity: str, circuit: str, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Parameters and buffers. Everything is checked before anything is given: `shapes` has each parameter's shape.

    Raises: SpecError CS901 for a file that is not there; CS914 for one that is cut short, is no checkpoint, or is of another circuit.
    """
    if not path.is_file():
        raise SpecError([Diagnostic("CS901", f"checkpoint `{path}` is not there")])
    try:
        metadata, arrays = read_safetensors(path)
    except (OSError, ValueError) as error:
        raise _wrong(path, f"it cannot be read: {error}", "it may be cut short; use an earlier copy") from None
    if metadata.get("format") != FORMAT:
        raise _wrong(path, "it is no checkpoint of CortexSpec", "")
    if metadata.get("identity") != identity:
        other = metadata.get("circuit", "another circuit")
        what = "an edited version of this circuit" if other == circuit else f"the circuit `{other}`"
        raise _wrong(path, f"it is of {what}", f"load it into a simulation of the same circuit as `{other}` was then")
    parameters = {name.removeprefix(_PARAMETER): a for name, a in arrays.items() if name.startswith(_PARAMETER)}
    buffers = {name.removeprefix(_BUFFER): a for name, a in arrays.items() if name.startswith(_BUFFER)}
    for name, shape in shapes.items():
        found = parameters.get(name)
        if found is None or found.shape != shape:
            has = "is missing" if found is None else f"has the shape {found.shape}, {shape} is wanted"
            raise _wrong(path, f"its parameter `{name}` {has}", "")
    return parameters, buffers


def _wrong(path: Path, why: str, help: str) -> SpecError:
    return SpecError([Diagnostic("CS914", f"checkpoint `{path}`: {why}", help=help)])
