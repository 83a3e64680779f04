"""A Model as text: what is left of a circuit when templates are expanded, names resolved, units and axes known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cortexspec.analysis.count import described
from cortexspec.analysis.model import (
    Equation,
    Model,
    Part,
    Population,
    Projection,
    Spike,
    Synapse,
    Update,
    Variable,
)
from cortexspec.contracts.translate import Shape
from cortexspec.expressions.print import print_expression
from cortexspec.expressions.tree import Expression


def print_model(model: Model) -> str:
    """One line a fact, in the words of the language; paths are whole, axes named, units in the coherent set."""
    lines = [f"circuit {model.circuit}", f"time in {model.time_unit.name() or 'steps'}"]
    lines += _section("sizes", (f"{name} = {size}" for name, size in model.sizes.items()))
    lines += _section("variables", map(_variable, model.variables.values()))
    lines += _section("populations", (line for each in model.populations for line in _population(each)))
    lines += _section("groups", (f"{group.path} = [{', '.join(group.members)}]" for group in model.groups))
    lines += _section("connections", (line for each in model.projections for line in _projection(each)))
    lines += _section("parts", map(_part, model.parts))
    lines += _section("starts", (f"{start.target} = {print_expression(start.value)}" for start in model.starts))
    lines += _section("penalties", (f"{each.name} = {print_expression(each.value)}" for each in model.penalties))
    lines += _section("trained parameters", described(model))
    return "\n".join(lines) + "\n"


def _section(title: str, entries: Iterable[str]) -> list[str]:
    found = list(entries)
    return ["", title, *(f"  {entry}" for entry in found)] if found else []


def _variable(variable: Variable) -> str:
    axes = f"[{', '.join(variable.axes_written)}]" if variable.axes_written else ""
    text = f"{variable.kind} {variable.path}{axes} : {variable.type.unit.name()}"
    if variable.type.dtype != "float":
        text += f" ({variable.type.dtype})"
    if variable.value is not None:
        text += f" = {print_expression(variable.value)}"
    if variable.draw is not None:
        text += f" ~ {print_expression(variable.draw)}"
    if variable.trainable:
        text += "  trainable"
    if variable.constraint is not None:
        text += f" in {print_expression(variable.constraint)}"
    return text


def _population(population: Population) -> Iterator[str]:
    axes = ", ".join((*population.instance_axes, population.axis))
    yield f"{population.path}[{axes}] : {population.neuron}"
    yield from (f"  {_equation(equation)}" for equation in population.equations)
    yield from (f"  {_update(update)}" for update in population.updates)
    if population.spike is not None:
        yield f"  {_spike(population.spike)}"


def _equation(equation: Equation) -> str:
    return f"{print_expression(equation.left)} = {print_expression(equation.right)}"


def _update(update: Update) -> str:
    return f"{update.state} <- {print_expression(update.value)}" + _option("every", update.every)


def _spike(spike: Spike) -> str:
    if spike.distribution is not None:
        return f"spike ~ {print_expression(spike.distribution)}"
    condition = print_expression(spike.condition) if spike.condition else ""
    crosses = f" crosses {print_expression(spike.crosses)}" if spike.crosses else ""
    resets = "; ".join(_update(reset) for reset in spike.resets)
    options = _option("refractory", spike.refractory) + _option("surrogate", spike.surrogate)
    return f"spike when {condition}{crosses} {{ {resets} }}{options}"


def _projection(projection: Projection) -> Iterator[str]:
    text = f"{projection.path}: {print_expression(projection.source)} -> {projection.target}"
    text += _option("rule", projection.rule)
    text += f" weight {projection.weight}" if projection.weight else ""
    text += _option("delay", projection.delay) + _option("dropout", projection.dropout)
    yield text + (" read new" if projection.read_new else "")
    if projection.synapse is not None:
        yield from (f"  {line}" for line in _synapse(projection.synapse))


def _synapse(synapse: Synapse) -> Iterator[str]:
    yield f"synapse {synapse.type}"
    yield from (f"  {name} per {extent}" for name, extent in synapse.extents.items())
    yield from (f"  {_equation(equation)}" for equation in synapse.equations)
    yield from (f"  on pre {_update(update)}" for update in synapse.on_pre)
    yield from (f"  on post {_update(update)}" for update in synapse.on_post)
    if synapse.send is not None:
        yield f"  send {print_expression(synapse.send)}"
    if synapse.output is not None:
        yield f"  output {print_expression(synapse.output)}"


def _part(part: Part) -> str:
    settings: Mapping[str, Any] = part.settings
    said = ", ".join(f"{name} = {_setting(value)}" for name, value in settings.items())
    return f"{part.path} : {part.function}" + (f"({said})" if said else "")


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Shape):
        return f"[{', '.join(axis.name for axis in value.axes)}]"
    return str(value)


def _option(word: str, value: Expression | None) -> str:
    return f" {word} {print_expression(value)}" if value is not None else ""
