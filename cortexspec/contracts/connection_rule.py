"""What a plugin signs to bring a connection rule: which source each place of each target is connected with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cortexspec.ir.op import Array


@dataclass(frozen=True, slots=True)
class Ends:
    """What a rule is to connect. `targets`: how many neurons, then the axes of the port; `sources`: how many values.

    `given` are the rule's arguments and options by name, as numbers, truth values or arrays.
    """

    targets: tuple[int, ...]
    sources: int
    given: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class ConnectionRule:
    """`arguments` are its positional ones, `options` the keyword ones; a `dense` one needs no edges, and is built in.

    `connect(ends)` gives the target and the source of each connection, as places in the flattened lists, integers [edge] each.
    It draws nothing, and raises RuleError where the two ends do not fit.
    """

    name: str
    arguments: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    dense: bool = False
    doc: str = ""
    connect: Callable[[Ends], tuple[Array, Array]] | None = None


__all__ = ["ConnectionRule", "Ends"]
