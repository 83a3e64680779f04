"""Everything that can be said about a file without running it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cortexspec.analysis.elaborate import check, elaborate, elaborate_experiment
from cortexspec.analysis.expand_templates import placeholders
from cortexspec.analysis.model import ExperimentModel, Model
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.diagnostics.layout import in_reading_order
from cortexspec.language.format import format_text
from cortexspec.runtime.diff import Change, compare_experiments, compare_models
from cortexspec.runtime.read import Reading, read_file
from cortexspec.schema.spec import Experiment, Template

__all__ = ["Checked", "check_file", "diff_files", "format_text"]


@dataclass(frozen=True, slots=True)
class Checked:
    """A file and everything that is wrong in it."""

    reading: Reading
    diagnostics: tuple[Diagnostic, ...]

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
    """Reads a file and checks every item in it, also what no circuit uses. Never raises for what a file says."""
    reading = read_file(path)
    found = list(reading.diagnostics)
    if reading.spec is not None:
        found += check(reading.spec, reading.used, reading.plugins, reading.data)
    # A mistake in a neuron is found once for every circuit that has one, and a file that is missing by its reader too.
    said = {(each.code, each.span or each.message): each for each in reversed(found)}
    return Checked(reading, tuple(in_reading_order(said.values())))


def diff_files(before: str | Path, after: str | Path) -> dict[str, list[Change]]:
    """What changed in meaning, by circuit and by experiment; those that are equal are left out.

    Raises: SpecError where one of the two files is wrong.
    """
    old, new = _meaning(before), _meaning(after)
    changes: dict[str, list[Change]] = {}
    for name in dict.fromkeys([*old, *new]):
        kind = name.split()[0]
        if name not in new:
            found = [Change("removed", f"the whole {kind}")]
        elif name not in old:
            found = [Change("added", f"the whole {kind}")]
        else:
            found = _compare(old[name], new[name])
        if found:
            changes[name] = found
    return changes


def _compare(old: Model | ExperimentModel, new: Model | ExperimentModel) -> list[Change]:
    if isinstance(old, Model) and isinstance(new, Model):
        return list(compare_models(old, new))
    assert isinstance(old, ExperimentModel) and isinstance(new, ExperimentModel)
    return list(compare_experiments(old, new))


def _meaning(path: str | Path) -> Mapping[str, Model | ExperimentModel]:
    """The circuits and experiments by name; an argument without a default has a placeholder."""
    checked = check_file(path)
    spec, used, plugins = checked.reading.spec, checked.reading.used, checked.reading.plugins
    data = checked.reading.data
    if spec is None or not checked.fine:
        raise SpecError(checked.diagnostics, dict(checked.sources))
    found: dict[str, Model | ExperimentModel] = {}
    for item in spec.items:
        if isinstance(item, Template) and item.kind == "circuit":
            given = {argument.name: argument.value for argument in placeholders(item)}
            model, _ = elaborate(spec, item.name, given, sources=used, plugins=plugins, data=data)
            if model is not None:
                found[f"circuit {item.name}"] = model
        elif isinstance(item, Experiment):
            experiment, _ = elaborate_experiment(spec, item.name, sources=used, plugins=plugins, data=data)
            if experiment is not None:
                found[f"experiment {item.name}"] = experiment
    return found
