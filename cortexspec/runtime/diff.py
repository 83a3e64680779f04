"""What changed in meaning between two models. Another order, other comments, `50 Hz` for `0.05 kHz`: no change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal, get_args

from cortexspec.analysis.model import Equation, ExperimentModel, Model, Population, Update
from cortexspec.expressions.print import print_expression
from cortexspec.expressions.tree import Expression, ListOf, Number
from cortexspec.units import to_coherent, unit_of

_EXPRESSIONS = get_args(Expression)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: `what` names the thing (`param V.γ1`), `field` what of it; the sides as an author writes them."""

    kind: Literal["added", "removed", "changed"]
    what: str
    field: str = ""
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        sign = {"added": "+", "removed": "-", "changed": "~"}[self.kind]
        if self.kind == "changed":
            return f"{sign} {f'{self.what} {self.field}'.rstrip()}: {self.before} -> {self.after}"
        return f"{sign} {self.what} {self.after or self.before}".rstrip()


_Thing = Mapping[str, Any]


def compare_models(before: Model, after: Model) -> tuple[Change, ...]:
    """Every thing that one circuit has and the other has not, or has otherwise, in the order of the first."""
    return tuple(_compare(dict(_things_of_model(before)), dict(_things_of_model(after))))


def compare_experiments(before: ExperimentModel, after: ExperimentModel) -> tuple[Change, ...]:
    return tuple(_compare(dict(_things_of_experiment(before)), dict(_things_of_experiment(after))))


def _compare(before: Mapping[str, _Thing], after: Mapping[str, _Thing]) -> Iterator[Change]:
    for what, thing in before.items():
        if what not in after:
            yield Change("removed", what, before=_summary(thing))
            continue
        other = after[what]
        for field in dict.fromkeys([*thing, *other]):
            old, new = thing.get(field), other.get(field)
            if _in_one_unit(old) != _in_one_unit(new):
                yield Change("changed", what, field, _show(old), _show(new))
    for what, thing in after.items():
        if what not in before:
            yield Change("added", what, after=_summary(thing))


def _things_of_model(model: Model) -> Iterator[tuple[str, _Thing]]:
    yield "time", {"unit": model.time_unit.name()}
    for name, size in model.sizes.items():
        yield f"size {name}", {"": size}
    for path, variable in model.variables.items():
        said = _said(variable, leave_out=("path", "kind", "axes_written", "unit_shown"))
        yield f"{variable.kind} {path}", {**said, "type": str(variable.type)}
    for population in model.populations:
        yield from _things_of_population(population)
    for projection in model.projections:
        yield f"connection {projection.path}", _said(projection, leave_out=("path",))
    for part in model.parts:
        yield f"part {part.path}", _said(part, leave_out=("path", "params", "lets", "outputs"))
    for group in model.groups:
        yield f"group {group.path}", {"members": group.members}
    for start in model.starts:
        yield f"start of {start.target}", {"": start.value}
    for penalty in model.penalties:
        yield f"penalty {penalty.name}", {"": penalty.value}


def _things_of_population(population: Population) -> Iterator[tuple[str, _Thing]]:
    lists = ("params", "states", "ports", "lets", "outputs")  # their variables are things of their own
    rest = _said(population, leave_out=("path", *lists, "equations", "updates"))
    yield f"population {population.path}", rest
    for equation in population.equations:
        yield f"equation of {equation.state}", {"": equation}
    for update in population.updates:
        yield f"update of {update.state}", {"": update}


def _things_of_experiment(experiment: ExperimentModel) -> Iterator[tuple[str, _Thing]]:
    yield "circuit", {"": experiment.circuit}
    yield "data set", {"": experiment.dataset}
    for section, settings in (("simulate", experiment.simulate), ("train", experiment.train or {})):
        for name, value in settings.items():
            yield f"{section} {name}", {"": value}
    for name, value in (*experiment.stimuli, *experiment.lets):
        yield f"let {name}", {"": value}
    for penalty in experiment.train_penalties:
        yield f"penalty {penalty.name}", {"": penalty.value}
    for measure in experiment.measures:
        yield f"measure {measure.name}", {"": measure.value}
    for names, rows in experiment.vary:
        yield f"vary {', '.join(names)}", {"": rows}
    for name, base in experiment.variants.items():
        yield f"variant {name}", {"of": base}
    for claim in experiment.claims:
        row = ", ".join(f"{name} = {value}" for name, value in claim.row.items())
        yield f'claim "{claim.text}"' + (f" [{row}]" if row else ""), _said(claim, leave_out=("text", "row"))


def _said(value: Any, leave_out: Iterable[str]) -> dict[str, Any]:
    """The fields that count for equality, by name."""
    return {f.name: getattr(value, f.name) for f in fields(value) if f.compare and f.name not in leave_out}


def _in_one_unit(value: Any) -> Any:
    """The same value with every literal in coherent units, so that two ways to write one quantity are equal."""
    if isinstance(value, Number) and value.unit:
        return Number(repr(to_coherent(value.value, value.unit)), unit_of(value.unit).name())
    if isinstance(value, Number):
        return Number(repr(value.value))
    if isinstance(value, ListOf) and value.unit:
        items = (replace(item, unit=value.unit) if isinstance(item, Number) else item for item in value.items)
        return _in_one_unit(ListOf(tuple(items)))
    if isinstance(value, tuple):
        return tuple(_in_one_unit(item) for item in value)  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, Mapping):
        return {key: _in_one_unit(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if is_dataclass(value) and not isinstance(value, type):
        return (type(value).__name__, {name: _in_one_unit(item) for name, item in _said(value, ()).items()})
    return value


def _summary(thing: _Thing) -> str:
    shown = ((field, _show(value)) for field, value in thing.items() if value not in (None, False, "", ()))
    return ", ".join(f"{field} {text}".strip() for field, text in shown)


def _show(value: Any) -> str:
    """As an author would write it."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case tuple():
            return "[" + ", ".join(_show(item) for item in value) + "]"  # pyright: ignore[reportUnknownVariableType]
        case Equation(left=left, right=right):
            return f"{print_expression(left)} = {print_expression(right)}"
        case Update(state=state, value=new, every=every):
            clock = f" every {print_expression(every)}" if every else ""
            return f"{state} <- {print_expression(new)}{clock}"
        case _ if isinstance(value, _EXPRESSIONS):
            return print_expression(value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return _summary(_said(value, ()))
        case Mapping():
            return ", ".join(f"{key} = {_show(item)}" for key, item in value.items())  # pyright: ignore
        case _:
            return str(value)
