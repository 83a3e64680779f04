"""The reference specs: papers' circuits that every backend is compared on. They come with the distribution."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from cortexspec.diagnostics import SpecError
from cortexspec.language.parse import parse_spec
from cortexspec.schema.spec import Spec

_PACKAGED = Path(__file__).parent / "specs"  # in a wheel; a checkout reads its own specs/
_CHECKOUT = Path(__file__).parents[2] / "specs"


@cache
def reference_text(name: str) -> str:
    """The text of `cmc`, `gallery/gru`, ... Raises: FileNotFoundError."""
    return _file_of(name).read_text(encoding="utf-8")


def reference_folder(name: str) -> Path:
    """Where the spec's data files are. Raises: FileNotFoundError."""
    return _file_of(name).parent


def _file_of(name: str) -> Path:
    for place in (_PACKAGED / f"{name}.cortex", _CHECKOUT / name / "model.cortex", _CHECKOUT / f"{name}.cortex"):
        if place.is_file():
            return place
    raise FileNotFoundError(f"no reference spec is called {name}")


@cache
def parsed(text: str, name: str = "<text>") -> Spec:
    """Raises: SpecError."""
    spec, found = parse_spec(text, name)
    if spec is None or any(diagnostic.severity == "error" for diagnostic in found):
        raise SpecError(found, {name: text})
    return spec


def reference_spec(name: str) -> Spec:
    """Raises: FileNotFoundError, SpecError."""
    return parsed(reference_text(name), f"{name}.cortex")
