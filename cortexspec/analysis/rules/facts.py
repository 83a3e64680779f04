"""What rules read: the model and the questions that several of them ask of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from cortexspec.analysis.model import Model, Population, Projection, Variable
from cortexspec.expressions import tree
from cortexspec.expressions.linear import children


@dataclass(frozen=True)
class Facts:
    """A model that is typed. `incomplete`: a connection could not be made, so that nothing is said about what is missing."""

    model: Model
    incomplete: bool = False
    _seen: dict[str, bool] = field(default_factory=dict[str, bool])

    @cached_property
    def arriving(self) -> Mapping[str, tuple[Projection, ...]]:
        """The projections that end at each port; one that ends at a group's ports ends at each member's."""
        found: dict[str, tuple[Projection, ...]] = {}
        for projection in self.model.projections:
            for port in self.members(projection.target):
                found[port] = (*found.get(port, ()), projection)
        return found

    @cached_property
    def ports(self) -> Mapping[str, Population]:
        return {port: population for population in self.model.populations for port in population.ports}

    def members(self, path: str) -> tuple[str, ...]:
        """A variable's path, or those of a group's members."""
        if path in self.model.variables:
            return (path,)
        for group in self.model.groups:
            if path == group.path:
                return tuple(one for member in group.members for one in self.members(member))
            if path.startswith(f"{group.path}."):
                rest = path.removeprefix(f"{group.path}.")
                return tuple(f"{member}.{rest}" for member in group.members)
        return (path,)

    def read_by(self, expression: tree.Expression | None) -> Iterator[tuple[str, tree.Reference]]:
        """The variables that an expression names, each with the place where it does."""
        for reference in references(expression):
            for path in self.members(reference.path):
                yield path, reference

    def moves(self, path: str) -> bool:
        """Whether a value may differ from step to step: it reads a state, an input, time or a draw at each step."""
        if path not in self._seen:
            self._seen[path] = False
            variable = self.model.variables.get(path)
            self._seen[path] = variable is not None and self._moves(variable)
        return self._seen[path]

    def _moves(self, variable: Variable) -> bool:
        if variable.kind in ("state", "input", "noise"):
            return True
        if variable.path.endswith(".spike") and variable.value is None:
            return True
        if any(isinstance(node, tree.Name) and node.name == "t" for node in walk(variable.value)):
            return True
        return any(self.moves(path) for path, _ in self.read_by(variable.value))


def references(expression: tree.Expression | None) -> list[tree.Reference]:
    return [node for node in walk(expression) if isinstance(node, tree.Reference)]


def walk(expression: tree.Expression | None) -> Iterable[tree.Expression]:
    stack = [expression] if expression is not None else []
    while stack:
        node = stack.pop()
        yield node
        stack += reversed(children(node))
