"""The results of an experiment's cells on disk: found by what they are made from, written whole or not at all.

A cell's address is the SHA-256 of everything its result depends on (the elaborated circuit, the experiment's settings, variant,
arguments, seed, backend, dtype, data fingerprint). So a second run finds what a first one finished, whatever stopped it, and an edit
that changes a meaning finds nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.op import Array
from cortexspec.runtime.files import write_whole

RESULT_VERSION = 1


def address(description: Mapping[str, Any]) -> str:
    """The SHA-256 of a description that JSON can hold, independent of the order of its keys."""
    text = json.dumps(description, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Result:
    """What a cell gave: its measures (numbers or nested lists of numbers), or where it diverged; and how long it took."""

    measures: Mapping[str, Any]
    seconds: float = 0.0
    diverged: str = ""
    history: tuple[Mapping[str, float], ...] = ()
    note: str = ""


class CellStore:
    """A folder of results, one JSON file a cell, in `FOLDER/ab/abcdef….json`."""

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
            measures=_numbers(stored["measures"]),
            seconds=stored["seconds"],
            diverged=stored["diverged"],
            history=tuple(stored["history"]),
            note=stored["note"],
        )

    def keep(self, key: str, description: Mapping[str, Any], result: Result) -> None:
        """Writes a result beside its description; a reader sees all of it or nothing."""
        record = {
            "version": RESULT_VERSION,
            "description": description,
            "measures": _plain(result.measures),
            "seconds": result.seconds,
            "diverged": result.diverged,
            "history": [dict(entry) for entry in result.history],
            "note": result.note,
        }
        write_whole(self.path(key), json.dumps(record, ensure_ascii=False, indent=1).encode())


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
