"""The folder of a training: metrics.jsonl, a line an epoch as it ends, and a checkpoint of the last whole one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.runtime.files import read_safetensors, write_whole

Array = np.ndarray[Any, Any]
History = list[dict[str, float]]
CHECKPOINT = "checkpoint.safetensors"
METRICS = "metrics.jsonl"


@dataclass(frozen=True, slots=True)
class Kept:
    """What a checkpoint holds: how much was done, the records so far, arrays by name."""

    done: int
    history: History
    arrays: Mapping[str, Array]

    def under(self, prefix: str) -> dict[str, Array]:
        """The arrays whose names begin so, without the prefix."""
        return {n.removeprefix(prefix): array for n, array in self.arrays.items() if n.startswith(prefix)}


def keep(
    folder: Path, identity: str, done: int, history: Sequence[Mapping[str, float]], arrays: Mapping[str, Array]
) -> None:
    """Writes both files; a reader sees all of each or what was there before."""
    from safetensors.numpy import save

    metadata = {"identity": identity, "done": str(done), "history": json.dumps(history)}
    content = save({name: np.array(array, order="C") for name, array in arrays.items()}, metadata)
    write_whole(folder / METRICS, "".join(json.dumps(record) + "\n" for record in history).encode())
    write_whole(folder / CHECKPOINT, content)


def kept(folder: Path | None, identity: str) -> Kept | None:
    """The checkpoint of a folder, None where there is none.

    Raises: SpecError CS914 for one that cannot be read, or that is of another circuit, experiment or plan.
    """
    path = None if folder is None else folder / CHECKPOINT
    if path is None or not path.is_file():
        return None
    try:
        metadata, arrays = read_safetensors(path)
    except (OSError, ValueError) as error:
        message = f"the checkpoint `{path}` cannot be read: {error}"
        raise SpecError([Diagnostic("CS914", message, help="remove it to start again")]) from None
    if metadata.get("identity") != identity:
        message = f"the checkpoint `{path}` is of another circuit, experiment or plan"
        help = "name another folder, or remove this one to start again"
        raise SpecError([Diagnostic("CS914", message, help=help)])
    return Kept(int(metadata["done"]), json.loads(metadata["history"]), arrays)
