"""The sections of an experiment as plain settings: `simulate`, `train`, `vary`, what is measured and claimed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from cortexspec.analysis.model import ClaimModel
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.experiments.claim import Grid, GridAxis, number_of
from cortexspec.experiments.optimise import Search
from cortexspec.experiments.train import Plan
from cortexspec.expressions import tree
from cortexspec.expressions.print import print_expression
from cortexspec.expressions.spaced import spaced
from cortexspec.schema import statement as written

Statements = Iterable[written.Statement]
_OPTIMIZER_OPTIONS = {"lr": 1e-3}


def section(body: Statements, kind: str) -> dict[str, tree.Expression]:
    """The settings of a section by name; of a name that is set twice the last one holds."""
    found: dict[str, tree.Expression] = {}
    for one in body:
        if isinstance(one, written.Section) and one.kind == kind:
            for setting in one.body:
                if isinstance(setting, written.Equation):
                    found[print_expression(setting.left)] = setting.right
    return found


def has_section(body: Statements, kind: str) -> bool:
    return any(isinstance(one, written.Section) and one.kind == kind for one in body)


def grid_of(name: str, body: tuple[written.Statement, ...]) -> Grid:
    """The grid that `vary` spans: `seed` apart from the other axes; without one, seed 0."""
    axes: list[GridAxis] = []
    seeds: tuple[int, ...] = (0,)
    drawn = has_section(body, "train")
    for left, right in _vary(body):
        if isinstance(left, tree.ListOf):
            names = tuple(print_expression(item) for item in left.items)
            rows = tuple(tuple(_value(each) for each in _items(row)) for row in _items(right))
            axes.append(GridAxis(names, rows))
        elif print_expression(left) == "seed":
            seeds, drawn = tuple(int(_value(each)) for each in _items(right)), True
        else:
            axes.append(GridAxis((print_expression(left),), tuple((_value(each),) for each in _items(right))))
    variants = tuple(one.name for one in body if isinstance(one, written.Variant))
    measures = tuple(one.name for one in body if isinstance(one, written.Measure))
    return Grid(name, tuple(axes), seeds, variants, measures, seeded=drawn)


def _vary(body: Statements) -> Iterable[tuple[tree.Expression, tree.Expression]]:
    for one in body:
        if isinstance(one, written.Section) and one.kind == "vary":
            for setting in one.body:
                if isinstance(setting, written.Equation):
                    yield setting.left, setting.right


def _items(expression: tree.Expression) -> list[tree.Expression]:
    """The members of a list or a closed range; a single value is a list of one."""
    match expression:
        case tree.ListOf(items=items, unit=""):
            return list(items)
        case tree.ListOf(items=items, unit=unit):
            return [tree.Number(item.text, unit) if isinstance(item, tree.Number) else item for item in items]
        case tree.Binary(operator="..", left=low, right=high):
            return [tree.Number(str(n)) for n in range(int(number_of(low)), int(number_of(high)) + 1)]
        case tree.Binary(operator="*", left=factor, right=tree.ListOf() as values):
            return [tree.Binary("*", factor, item) for item in _items(values)]
        case tree.Call(function=tree.Name("linspace" | "logspace")) if (values := spaced(expression)) is not None:
            return list(values.items)
        case _:
            return [expression]


def _value(expression: tree.Expression) -> Any:
    """A number where it is a pure one, else its text (a quantity, a name)."""
    if isinstance(expression, tree.Number) and not expression.unit:
        return int(expression.text) if expression.text.isdigit() else expression.value
    if isinstance(expression, tree.Unary) and expression.operator == "-":
        value = _value(expression.operand)
        return -value if isinstance(value, int | float) else print_expression(expression)
    if isinstance(expression, (tree.Name, tree.Text)):
        return expression.name if isinstance(expression, tree.Name) else expression.value
    return print_expression(expression)


def claims_of(body: Statements) -> list[ClaimModel]:
    """Each claim once for every combination of its `for` ranges."""
    claims: list[ClaimModel] = []
    for one in body:
        if not isinstance(one, written.Claim):
            continue
        choices = [[_bound(each.names, item) for item in _items(each.values)] for each in one.ranges]
        for combination in itertools.product(*choices):
            row = {name: value for bound in combination for name, value in bound.items()}
            claims.append(
                ClaimModel(
                    one.text,
                    one.source,
                    one.value,
                    one.published,
                    one.within,
                    one.relative,
                    one.of,
                    one.contradicts,
                    row,
                    one.span,
                )
            )
    return claims


def _bound(names: tuple[str, ...], item: tree.Expression) -> Mapping[str, Any]:
    if len(names) == 1:
        return {names[0]: _value(item)}
    return {name: _value(each) for name, each in zip(names, _items(item), strict=True)}


def plan_of(train: Mapping[str, tree.Expression]) -> Plan:
    """The `train` section as numbers. Raises: SpecError CS923 for a setting that is not understood."""
    known = {
        "loss", "optimizer", "schedule", "batch", "epochs", "steps", "clip", "shuffle", "parameters", "carry_state", "reset_chance",
    }  # fmt: skip
    for name, value in train.items():
        if name not in known:
            help = f"known are: {', '.join(sorted(known))}"
            raise SpecError([Diagnostic("CS923", f"`train` has no setting `{name}`", value.span, help=help)])
    optimizer, options = _called(train.get("optimizer", tree.Name("adam")))
    schedule, schedule_options = _called(train.get("schedule", tree.Name("constant")))
    defaults = Plan()
    return Plan(
        optimizer=optimizer,
        options={**_OPTIMIZER_OPTIONS, **options},
        schedule=schedule,
        warm_up=int(schedule_options.get("warm_up", 0)),
        batch=_number(train, "batch", defaults.batch),
        epochs=_number(train, "epochs", defaults.epochs),
        steps=_number(train, "steps", 0) or None,
        clip=number_of(train["clip"]) if "clip" in train else None,
        shuffle=not (isinstance(train.get("shuffle"), tree.Name) and train["shuffle"] == tree.Name("false")),
        carry_state="carry_state" in train and print_expression(train["carry_state"]) == "true",
        reset_chance=print_expression(train["reset_chance"]) if "reset_chance" in train else "",
    )


def search_of(train: Mapping[str, tree.Expression], simulate: Mapping[str, tree.Expression]) -> Search:
    """The `train` section of an experiment that maximises or minimises a measure. The checker has judged it."""
    word = "maximize" if "maximize" in train else "minimize"
    optimizer, options = _called(train.get("optimizer", tree.Name("adam")))
    schedule, schedule_options = _called(train.get("schedule", tree.Name("constant")))
    run = {**simulate, **train}
    return Search(
        objective=print_expression(train[word]),
        largest=word == "maximize",
        optimizer=optimizer,
        options=options if optimizer == "evolution" else {**_OPTIMIZER_OPTIONS, **options},
        parameters=parameters_of(train),
        epochs=_number(train, "epochs", Search.epochs),
        schedule=schedule,
        schedule_warm_up=int(schedule_options.get("warm_up", 0)),
        clip=number_of(train["clip"]) if "clip" in train else None,
        duration=number_of(train["duration"]) if "duration" in train else None,
        trials=int(number_of(run["trials"])) if "trials" in run else None,
        settling=number_of(run["warm_up"]) if "warm_up" in run else None,
    )


def parameters_of(train: Mapping[str, tree.Expression]) -> tuple[str, ...]:
    """`parameters = [core.b0]` as dotted names; none where everything that is trainable is trained."""
    if "parameters" not in train:
        return ()
    return tuple(print_expression(one) for one in _items(train["parameters"]))


def _number(train: Mapping[str, tree.Expression], name: str, default: int) -> int:
    return int(number_of(train[name])) if name in train else default


def _called(expression: tree.Expression) -> tuple[str, dict[str, float]]:
    """`adam(lr = 1e-3)` as its name and its options."""
    match expression:
        case tree.Name(name=name):
            return name, {}
        case tree.Call(function=tree.Name(name=name), arguments=arguments):
            return name, {
                each.name: number_of(each.value) for each in arguments if each.name and each.value is not None
            }
        case _:
            text = print_expression(expression)
            raise SpecError([Diagnostic("CS923", f"`{text}` is no name with options", expression.span)])
