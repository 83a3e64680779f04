"""Everything that can be said about a file without running it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cortexspec.analysis.elaborate import elaborate
from cortexspec.analysis.expand_templates import placeholders
from cortexspec.analysis.model import Model
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.diagnostics.layout import in_reading_order
from cortexspec.language.format import format_text
from cortexspec.runtime.diff import Change, compare_models
from cortexspec.runtime.read import Reading, read_file
from cortexspec.schema.spec import Template

__all__ = ["Checked", "check_file", "diff_files", "format_text"]


@dataclass(frozen=True, slots=True)
class Checked:
    """A file, everything that is wrong in it, and its circuits' models by name.

    An argument without a default has a placeholder there.
    """

    reading: Reading
    diagnostics: tuple[Diagnostic, ...]
    models: Mapping[str, Model]

    @property
    def file(self) -> str:
        return self.reading.file

    @property
    def sources(self) -> Mapping[str, str]:
        return self.reading.sources

    @property
    def fine(self) -> bool:
        return not any(diagnostic.severity == "error" for diagnostic in self.diagnostics)

    @property
    def items(self) -> Mapping[str, tuple[str, ...]]:
        """The names of the file's items, by kind."""
        found: dict[str, tuple[str, ...]] = {}
        for item in self.reading.spec.items if self.reading.spec else ():
            if item.kind != "use":
                found[item.kind] = (*found.get(item.kind, ()), item.name)
        return found

    def summary(self) -> str:
        """`3 neurons, 2 circuits, 1 experiment`."""
        counts = [(len(names), kind) for kind, names in self.items.items()]
        return ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for count, kind in counts) or "empty"


def check_file(path: str | Path) -> Checked:
    """Reads a file and elaborates every circuit in it. Never raises for what a file says."""
    reading = read_file(path)
    models: dict[str, Model] = {}
    diagnostics = list(reading.diagnostics)
    for item in reading.spec.items if reading.spec else ():
        if isinstance(item, Template) and item.kind == "circuit":
            assert reading.spec is not None
            given = {argument.name: argument.value for argument in placeholders(item)}
            model, found = elaborate(reading.spec, item.name, given, sources=reading.used)
            diagnostics += found
            if model is not None:
                models[item.name] = model
    # A mistake in a neuron is found once for every circuit that has one: it is said once.
    said = {(each.code, each.span or each.message): each for each in reversed(diagnostics)}
    return Checked(reading, tuple(in_reading_order(said.values())), models)


def diff_files(before: str | Path, after: str | Path) -> dict[str, list[Change]]:
    """What changed in meaning, by circuit; circuits that are equal are left out.

    Raises: SpecError where one of the two files is wrong.
    """
    old, new = _models(before), _models(after)
    changes: dict[str, list[Change]] = {}
    for name in dict.fromkeys([*old, *new]):
        if name not in new:
            changes[f"circuit {name}"] = [Change("removed", "the whole circuit")]
        elif name not in old:
            changes[f"circuit {name}"] = [Change("added", "the whole circuit")]
        elif found := compare_models(old[name], new[name]):
            changes[f"circuit {name}"] = list(found)
    return changes


def _models(path: str | Path) -> Mapping[str, Model]:
    checked = check_file(path)
    if not checked.fine:
        raise SpecError(checked.diagnostics, dict(checked.sources))
    return checked.models
