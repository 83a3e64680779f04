"""`dataset = NAME("choice", setting = value)`: the name, the choice and the settings, judged before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cortexspec.analysis.report import Report, suggestion
from cortexspec.contracts.dataset import DatasetSignature
from cortexspec.expressions import tree
from cortexspec.expressions.print import print_expression


def check_dataset(node: tree.Expression, known: Mapping[str, DatasetSignature], report: Report) -> None:
    """CS912 for what there is not, CS923 for what it cannot be told."""
    called = node.function if isinstance(node, tree.Call) else node
    signature = signature_of(node, known)
    if signature is None:
        text = print_expression(called)
        report.add("CS912", f"there is no data set `{text}`", called.span, help=_near(text, known))
        return
    first = True
    for argument in node.arguments if isinstance(node, tree.Call) else ():
        if argument.value is None:
            continue
        if argument.name:
            _check_setting(argument, signature, report)
        else:
            _check_choice(argument, signature, first, report)
            first = False


def signature_of(node: tree.Expression | None, known: Mapping[str, DatasetSignature]) -> DatasetSignature | None:
    """That of the data set that is written here, where there is such a one."""
    called = node.function if isinstance(node, tree.Call) else node
    return known.get(called.name) if isinstance(called, tree.Name) else None


def _check_setting(argument: tree.Argument, signature: DatasetSignature, report: Report) -> None:
    settings = {**({"seed": 0} if signature.draws else {}), **signature.settings}
    if argument.name not in settings:
        message = f"`{signature.name}` has no setting `{argument.name}`"
        report.add("CS923", message, argument.span, help=_near(argument.name, settings))
        return
    wanted, found = _kind(settings[argument.name]), _kind_written(argument.value)
    if wanted and found != wanted:
        report.add("CS923", f"`{argument.name}` of `{signature.name}` is {wanted}, not {found}", argument.span)


def _check_choice(argument: tree.Argument, signature: DatasetSignature, first: bool, report: Report) -> None:
    choices = signature.choices
    if choices is None:
        return
    if not first or not choices:
        message = f"`{signature.name}` takes {'one argument' if choices else 'no argument'} without a name"
        report.add("CS923", message, argument.span)
    elif not isinstance(argument.value, tree.Text):
        help = f'write it as text: `{signature.name}("{choices[0]}")`'
        report.add("CS912", f"`{signature.name}` takes the name of what is wanted", argument.span, help=help)
    elif argument.value.value not in choices:
        help = _near(argument.value.value, choices)
        report.add("CS912", f"there is no `{argument.value.value}` among `{signature.name}`", argument.span, help=help)


def _kind(default: Any) -> str:
    """What a setting with this default is told by; "" where any value may stand."""
    match default:
        case bool():
            return "true or false"
        case str():
            return "text"
        case int() | float():
            return "a number"
        case tuple():
            return "a list of numbers"
        case _:
            return ""


def _kind_written(value: tree.Expression | None) -> str:
    match value:
        case tree.Text():
            return "text"
        case tree.Name(name="true" | "false"):
            return "true or false"
        case tree.ListOf():
            return "a list of numbers"
        case _:
            return "a number"


def _near(name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    return suggestion(name, known) or f"there are {', '.join(known)}"


__all__ = ["check_dataset", "signature_of"]
