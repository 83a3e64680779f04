"""What identifies a module: its meaning, without the layout, the bound sizes and the units that are only shown."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from types import MappingProxyType

from cortexspec.ir.module import Layout, Module
from cortexspec.ir.printer import print_module


def content_hash(module: Module) -> str:
    """SHA-256 of the canonical text, in hexadecimal."""
    canonical = replace(
        module,
        params=tuple(replace(param, unit_shown="") for param in module.params),
        states=tuple(replace(state, unit_shown="") for state in module.states),
        functions=MappingProxyType(dict(sorted(module.functions.items()))),
        layout=Layout(),
        sizes=MappingProxyType({}),
    )
    return sha256(print_module(canonical).encode()).hexdigest()
