"""The mistakes of all data sets here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cortexspec.contracts.dataset import Places
from cortexspec.diagnostics import Diagnostic, SpecError


def missing(name: str, help: str) -> SpecError:
    return SpecError([Diagnostic("CS901", f"the data file `{name}` is not there", help=help)])


def malformed(path: Path, why: str) -> SpecError:
    return SpecError([Diagnostic("CS911", f"`{path.name}` cannot be read: {why}")])


def no_key(path: Path, key: str) -> SpecError:
    return SpecError([Diagnostic("CS906", f"`{path.name}` has no `{key}`")])


def too_short(message: str, help: str = "") -> SpecError:
    return SpecError([Diagnostic("CS908", message, help=help)])


def unknown_symbol(message: str, help: str = "") -> SpecError:
    return SpecError([Diagnostic("CS909", message, help=help)])


def found(name: str, places: Places, help: str) -> Path:
    """The file of this name beside the spec or in the user's data folder. Raises: SpecError CS901."""
    for folder in (places.data, places.folder):
        if folder is None:
            continue
        path = (folder / name).resolve()
        if path.is_file() and path.is_relative_to(folder.resolve()):
            return path
    raise missing(name, help)


def whole(settings: Mapping[str, Any], name: str, least: int, of: str) -> int:
    """A setting that is a whole number. Raises: SpecError CS505."""
    value = settings[name]
    if float(value) != int(value) or value < least:
        raise SpecError([Diagnostic("CS505", f"`{name}` of `{of}` is a whole number, at least {least}, not {value}")])
    return int(value)
