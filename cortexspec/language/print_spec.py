"""Spec to text. The text parses back to an equal Spec and is formatted; comments are no part of a Spec."""

from typing import assert_never

from cortexspec.expressions import tree
from cortexspec.expressions.print import (
    print_arguments,
    print_equation_side,
    print_expression,
    print_modifier,
    print_path,
    print_ranges,
)
from cortexspec.language.format import format_text
from cortexspec.schema.spec import Experiment, Formal, Item, Spec, Template, Use
from cortexspec.schema.statement import (
    Argument,
    Attribute,
    Claim,
    Connect,
    Declarator,
    Declare,
    Equation,
    Group,
    Instance,
    Instances,
    Loop,
    Measure,
    Modifier,
    Noise,
    On,
    Penalty,
    RangeOf,
    Remove,
    Retype,
    Section,
    Send,
    SetModifiers,
    Spike,
    Start,
    Statement,
    Stimulus,
    TypeUse,
    Update,
    Variant,
)

# A block stands on one line when the whole statement fits here.
_SHORT = 100


def print_spec(spec: Spec) -> str:
    """The spec as text of the language; `parse_spec(print_spec(spec))` is equal to the spec."""
    parts = [f'"""{spec.doc}"""'] if spec.doc else []
    parts += [_item(item) for item in spec.items]
    return format_text("\n\n".join(parts)) if parts else ""


def _item(item: Item) -> str:
    doc = f'"""{item.doc}"""\n' if item.doc else ""
    match item:
        case Use():
            return doc + (f'use "{item.file}"' if item.file else f"use {', '.join(item.names)}")
        case Template():
            formals = f"({', '.join(_formal(formal) for formal in item.formals)})" if item.formals else ""
            return f"{doc}{item.kind} {item.name}{formals} {_long_block(item.body)}"
        case Experiment():
            of = f" of {item.of}{_call(item.arguments)}" if item.of else ""
            like = f" like {item.like}" if item.like else ""
            return f"{doc}experiment {item.name}{of}{like} {_long_block(item.body)}"
        case _:
            assert_never(item)


def _formal(formal: Formal) -> str:
    default = f" = {print_expression(formal.default)}" if formal.default is not None else ""
    return f"{formal.name}: {formal.type}{default}"


def _long_block(body: tuple[Statement, ...]) -> str:
    if not body:
        return "{ }"
    lines = "\n".join(print_statement(statement) for statement in body).split("\n")
    return "{\n" + "\n".join("  " + line for line in lines) + "\n}"


def _block(before: str, body: tuple[Statement, ...], after: str = "") -> str:
    """A statement with a block, on one line where that is short."""
    inner = "; ".join(print_statement(statement) for statement in body)
    short = f"{before} {{ {inner} }}{after}" if body else f"{before} {{ }}{after}"
    if len(short) <= _SHORT and "\n" not in short:
        return short
    return f"{before} {_long_block(body)}{after}"


def print_statement(statement: Statement) -> str:
    """One statement as text, its block included."""
    match statement:
        case Declare():
            names = ", ".join(_declarator(one) for one in statement.declarators)
            return f"{statement.kind} {names}{_modifiers(statement.modifiers)}"
        case Instances():
            return f"{statement.kind} {', '.join(_instance(one) for one in statement.instances)}"
        case Group():
            return f"group {statement.name} = {print_expression(statement.members)}"
        case Attribute():
            unit = f" : {statement.unit}" if statement.unit else ""
            return f"attribute {print_path(statement.target)}{unit} = {print_expression(statement.value)}"
        case Equation():
            left, right = print_equation_side(statement.left), print_expression(statement.right)
            return f"{left} = {right}{_modifiers(statement.modifiers)}"
        case SetModifiers():
            return f"{print_equation_side(statement.target)}{_modifiers(statement.modifiers)}"
        case Retype():
            return f"{statement.name} : {_type_use(statement.type)}"
        case Update():
            return f"{statement.name} <- {print_expression(statement.value)}{_modifiers(statement.modifiers)}"
        case Spike():
            return _spike(statement)
        case On():
            return _block(f"on {statement.event}", statement.body)
        case Send():
            return f"send {print_expression(statement.value)}"
        case Noise():
            return f"noise {', '.join(statement.names)}"
        case Connect():
            name = f"{statement.name}: " if statement.name else ""
            line = f"connect {name}{print_path(statement.source)} -> {print_path(statement.target)}"
            return _block(line, statement.settings) if statement.settings else line
        case Start() | Stimulus():
            return f"{statement.kind} {print_path(statement.target)} = {print_expression(statement.value)}"
        case Remove():
            return f"remove {', '.join(print_path(target) for target in statement.targets)}"
        case Penalty() | Measure():
            return f"{statement.kind} {statement.name} = {print_expression(statement.value)}"
        case Section():
            return _block(statement.kind, statement.body)
        case Variant():
            of = f" of {statement.of}" if statement.of else ""
            return _block(f"variant {statement.name}{of}", statement.body)
        case Claim():
            return _claim(statement)
        case Loop():
            return _block(_ranges(statement.ranges), statement.body)
        case _:
            assert_never(statement)


def _modifiers(modifiers: tuple[Modifier, ...]) -> str:
    return "".join(f" {print_modifier(_tree_modifier(one))}" for one in modifiers)


def _tree_modifier(modifier: Modifier) -> tree.Modifier:
    return tree.Modifier(modifier.kind, modifier.value, modifier.extent)


def _call(arguments: tuple[Argument, ...]) -> str:
    if not arguments:
        return ""
    trees = tuple(
        tree.Argument(one.value, one.name, tuple(_tree_modifier(modifier) for modifier in one.modifiers))
        for one in arguments
    )
    return f"({print_arguments(trees)})"


def _type_use(use: TypeUse) -> str:
    return use.name + _call(use.arguments)


def _axes(axes: tuple[tree.Expression, ...]) -> str:
    return f"[{', '.join(print_expression(axis) for axis in axes)}]" if axes else ""


def _declarator(one: Declarator) -> str:
    if not one.name:
        assert one.value is not None
        return print_equation_side(one.value) + (f" : {one.unit}" if one.unit else "")
    unit = f" : {one.unit}" if one.unit else ""
    value = f" = {print_expression(one.value)}" if one.value is not None else ""
    return f"{one.name}{_axes(one.axes)}{unit}{value}"


def _instance(one: Instance) -> str:
    return f"{one.name}{_axes(one.axes)}" + (f" : {_type_use(one.type)}" if one.type else "")


def _ranges(ranges: tuple[RangeOf, ...]) -> str:
    return print_ranges(tuple(tree.Range(one.names, one.values) for one in ranges))


def _spike(spike: Spike) -> str:
    if spike.distribution is not None:
        return f"spike ~ {print_expression(spike.distribution)}"
    assert spike.condition is not None
    line = f"spike when {print_expression(spike.condition)}"
    if spike.crosses is not None:
        line += f" crosses {print_expression(spike.crosses)}"
    after = f" refractory {print_expression(spike.refractory)}" if spike.refractory is not None else ""
    after += f" surrogate {print_expression(spike.surrogate)}" if spike.surrogate is not None else ""
    return _block(line, spike.body, after) if spike.body else line + after


def _claim(claim: Claim) -> str:
    line = f'claim "{claim.text}" from "{claim.source}": {print_expression(claim.value)}'
    if claim.published is not None:
        line += f" published {print_expression(claim.published)}"
    if claim.within is not None:
        line += f" within {print_expression(claim.within)}"
    if claim.of is not None:
        line += f" of {print_expression(claim.of)}"
    if claim.contradicts:
        line += f' contradicts "{claim.contradicts}"'
    return line + (f" {_ranges(claim.ranges)}" if claim.ranges else "")
