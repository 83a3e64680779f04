"""CortexSpec: a small language and a compiler for cortical circuits that train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cortexspec.diagnostics import Diagnostic, SpecError
    from cortexspec.experiments.sweep import reproduce
    from cortexspec.runtime.api import compile, load, parse, restore, save
    from cortexspec.runtime.check import diff_files as diff
    from cortexspec.runtime.export import export
    from cortexspec.runtime.show import show_stage as show
    from cortexspec.runtime.simulation import Simulation
    from cortexspec.schema.spec import Spec

# Public names and the module that has each (after a colon its name there); read on first use, so that `import cortexspec` costs nothing.
_PUBLIC = {
    "Diagnostic": "cortexspec.diagnostics",
    "Simulation": "cortexspec.runtime.simulation",
    "Spec": "cortexspec.schema.spec",
    "SpecError": "cortexspec.diagnostics",
    "compile": "cortexspec.runtime.api",
    "diff": "cortexspec.runtime.check:diff_files",
    "export": "cortexspec.runtime.export",
    "load": "cortexspec.runtime.api",
    "parse": "cortexspec.runtime.api",
    "reproduce": "cortexspec.experiments.sweep",
    "restore": "cortexspec.runtime.api",
    "save": "cortexspec.runtime.api",
    "show": "cortexspec.runtime.show:show_stage",
}

__all__ = [
    "Diagnostic",
    "Simulation",
    "Spec",
    "SpecError",
    "compile",
    "diff",
    "export",
    "load",
    "parse",
    "reproduce",
    "restore",
    "save",
    "show",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'cortexspec' has no attribute '{name}'")
    from importlib import import_module

    module, _, other = _PUBLIC[name].partition(":")
    value = getattr(import_module(module), other or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
