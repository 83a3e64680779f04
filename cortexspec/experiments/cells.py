"""The results of an experiment's cells on disk: found by what they are made from, written whole or not at all.

A cell's address is the SHA-256 of everything its result depends on (the elaborated circuit, the experiment's settings, variant,
arguments, seed, backend, dtype, data fingerprint). So a second run finds what a first one finished, whatever stopped it, and an edit
that changes a meaning finds nothing.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import platform
import shutil
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.op import Array
from cortexspec.runtime.files import read_safetensors, write_whole

RESULT_VERSION = 1
LOCK = ".sweep"
RUNNING = ".running"
ARRAYS = ".safetensors"
_LARGE = 1000  # numbers from which on an array is no text


def address(description: Mapping[str, Any]) -> str:
    """The SHA-256 of a description that JSON can hold, independent of the order of its keys."""
    text = json.dumps(description, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Result:
    """What a cell gave: its measures (numbers or nested lists of numbers), or where it diverged; and how long it took.

    `made`: when, on what machine, and by which versions.
    """

    measures: Mapping[str, Any]
    seconds: float = 0.0
    diverged: str = ""
    history: tuple[Mapping[str, float], ...] = ()
    note: str = ""
    made: Mapping[str, str] = field(default_factory=dict[str, str])


class CellStore:
    """A folder of results, one JSON file a cell, in `FOLDER/ab/abcdef….json`; its large arrays in a file beside it."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, key: str, ending: str = ".json") -> Path:
        return self.folder / key[:2] / f"{key}{ending}"

    def find(self, key: str) -> Result | None:
        """The stored result, or None. Raises: SpecError CS922 for a file that is there but is no result."""
        path = self.path(key)
        try:
            stored: Any = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise _broken(path, str(error)) from None
        if not isinstance(stored, dict) or cast(dict[str, Any], stored).get("version") != RESULT_VERSION:
            raise _broken(path, "it was written by another version")
        stored = cast(dict[str, Any], stored)
        return Result(
            measures={**_numbers(stored["measures"]), **self._arrays(key, stored.get("arrays", []))},
            seconds=stored["seconds"],
            diverged=stored["diverged"],
            history=tuple(stored["history"]),
            note=stored["note"],
            made=stored.get("made", {}),
        )

    def keep(self, key: str, description: Mapping[str, Any], result: Result) -> None:
        """Writes a result beside its description; a reader sees all of it or nothing."""
        arrays = {name: value for name, value in result.measures.items() if _is_large(value)}
        if arrays:
            from safetensors.numpy import save

            content = save({name: np.array(array, order="C") for name, array in arrays.items()})
            write_whole(self.path(key, ARRAYS), content)  # before the record, which says that the cell is finished
        record = {
            "version": RESULT_VERSION,
            "description": description,
            "measures": _plain({name: value for name, value in result.measures.items() if name not in arrays}),
            "arrays": sorted(arrays),
            "seconds": result.seconds,
            "diverged": result.diverged,
            "history": [dict(entry) for entry in result.history],
            "note": result.note,
            "made": dict(result.made),
        }
        write_whole(self.path(key), json.dumps(record, ensure_ascii=False, indent=1).encode())

    def _arrays(self, key: str, names: Sequence[str]) -> dict[str, Array]:
        """Raises: SpecError CS922."""
        if not names:
            return {}
        path = self.path(key, ARRAYS)
        try:
            _, found = read_safetensors(path)
            return {name: found[name] for name in names}
        except (OSError, ValueError, KeyError) as error:
            raise _broken(path, str(error)) from None

    @contextmanager
    def held(self) -> Generator[None, None, None]:
        """Keeps every other sweep out of the folder while the block runs.

        The system lets go of the lock when the process ends, however it ends. Raises: SpecError CS941 where another sweep has the
        folder, CS919 where it cannot be written to.
        """
        path = self.folder / LOCK
        with _opened(path) as file:
            if not _locked(file):
                holder = path.read_text("utf-8").strip() or "another process"
                message = f"another sweep uses the folder `{self.folder}`: {holder}"
                help = "wait until it ends, or name another folder with `--results`"
                raise SpecError([Diagnostic("CS941", message, help=help)])
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}, since {now()}\n")
            file.flush()
            shutil.rmtree(self.folder / RUNNING, ignore_errors=True)
            try:
                yield
            finally:
                shutil.rmtree(self.folder / RUNNING, ignore_errors=True)

    @contextmanager
    def running(self, key: str) -> Generator[None, None, None]:
        """Marks a cell as one that runs now, wherever its worker is."""
        mark = self.folder / RUNNING / key
        write_whole(mark, b"")
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)

    def run_now(self) -> list[str]:
        """The addresses of the cells that are marked. A worker that was killed leaves its mark until the cell runs again."""
        try:
            return [name for name in os.listdir(self.folder / RUNNING) if not name.startswith(".")]
        except OSError:
            return []


def as_kept(result: Result) -> Result:
    """The result as it is when it is read again, so that a sweep's table does not tell which cells an earlier call ran."""
    measures = {n: v if _is_large(v) else _numbers(_plain(v)) for n, v in result.measures.items()}
    return replace(result, measures=measures)


def _is_large(value: Any) -> bool:
    if not isinstance(value, np.ndarray):
        return False
    array = cast(Array, value)
    return array.size >= _LARGE and array.dtype.kind in "fiub"


def now() -> str:
    """The time of day, as people and programs read it (ISO 8601)."""
    return time.strftime("%Y-%m-%d %H:%M:%S%z")


def _opened(path: Path) -> IO[str]:
    """Raises: SpecError CS919."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a", encoding="utf-8")
    except OSError as error:
        why = error.strerror or error
        help = "name a folder that you may write to with `--results`"
        raise SpecError([Diagnostic("CS919", f"`{path.parent}` cannot be written to: {why}", help=help)]) from None


def _locked(file: IO[str]) -> bool:
    """Takes the lock of an open file. Where the system has none of this kind, nobody is kept out."""
    try:
        fcntl = cast(Any, importlib.import_module("fcntl"))
    except ModuleNotFoundError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _plain(value: Any) -> Any:
    """Numbers, complex numbers and arrays as JSON; NaN and infinities as text, which JSON lacks."""
    if isinstance(value, Mapping):
        entries = cast(Mapping[str, Any], value)
        return {str(name): _plain(entry) for name, entry in entries.items()}
    if isinstance(value, np.ndarray):
        return _plain(cast(Array, value).tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in cast(Sequence[Any], value)]
    if isinstance(value, (complex, np.complexfloating)):
        number = complex(cast(complex, value))
        return {"re": _plain(number.real), "im": _plain(number.imag)}
    if isinstance(value, (bool, np.bool_)):
        return bool(cast(bool, value))
    if isinstance(value, (int, np.integer)):
        return int(cast(int, value))
    number = float(value)
    return number if np.isfinite(number) else repr(number)


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        entries = cast(dict[str, Any], value)
        if entries.keys() == {"re", "im"}:
            return complex(_numbers(entries["re"]), _numbers(entries["im"]))
        return {name: _numbers(entry) for name, entry in entries.items()}
    if isinstance(value, list):
        return [_numbers(entry) for entry in cast(list[Any], value)]
    return float(value) if isinstance(value, str) else value


def _broken(path: Path, why: str) -> SpecError:
    return SpecError(
        [
            Diagnostic(
                "CS922",
                f"the stored result `{path}` cannot be read: {why}",
                help="remove the file; its cell runs again",
            )
        ]
    )
