"""CortexSpec: a small language and a compiler for cortical circuits that train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cortexspec.diagnostics import Diagnostic, SpecError
    from cortexspec.runtime.api import compile, load, parse, restore, save
    from cortexspec.runtime.export import export
    from cortexspec.runtime.simulation import Simulation
    from cortexspec.schema.spec import Spec

# Public names and the module that has each; read on first use, so that `import cortexspec` costs nothing.
_PUBLIC = {
    "Diagnostic": "cortexspec.diagnostics",
    "Simulation": "cortexspec.runtime.simulation",
    "Spec": "cortexspec.schema.spec",
    "SpecError": "cortexspec.diagnostics",
    "compile": "cortexspec.runtime.api",
    "export": "cortexspec.runtime.export",
    "load": "cortexspec.runtime.api",
    "parse": "cortexspec.runtime.api",
    "restore": "cortexspec.runtime.api",
    "save": "cortexspec.runtime.api",
}

__all__ = ["Diagnostic", "Simulation", "Spec", "SpecError", "compile", "export", "load", "parse", "restore", "save"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'cortexspec' has no attribute '{name}'")
    from importlib import import_module

    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
