"""What a `train` section may ask for: a loss on data, or a measure that is maximised; and which optimiser can do which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from cortexspec.analysis.report import suggestion
from cortexspec.contracts.measure import AnalysisEntry
from cortexspec.contracts.training import DEFAULTS, EVOLUTION, LATER
from cortexspec.diagnostics import Note, Span
from cortexspec.expressions import tree
from cortexspec.expressions.linear import children
from cortexspec.expressions.print import print_expression
from cortexspec.schema import statement as written

if TYPE_CHECKING:
    from cortexspec.analysis.experiments import ExperimentChecker

Settings = Mapping[str, tuple[tree.Expression, Span | None]]
OBJECTIVES = ("loss", "maximize", "minimize")
OPTIMIZERS: Mapping[str, Mapping[str, float]] = {**DEFAULTS, "evolution": EVOLUTION}
_OF_DATA = ("batch", "steps", "shuffle", "carry_state", "reset_chance")
_OF_SEARCH = ("duration", "trials", "warm_up")
_OF_GRADIENT = ("clip", "schedule")


def check_training(checker: ExperimentChecker, section: written.Section, settings: Settings) -> None:
    """CS923 to CS926, CS804 and CS505, each where it is written."""
    report = checker.report
    chosen = [name for name in OBJECTIVES if name in settings]
    if not chosen:
        report.add("CS923", "`train` has no `loss`", section.span, help="write `loss = ...`, or `maximize = ...`")
    for other in chosen[1:]:
        first = settings[chosen[0]][1]
        notes = [Note("the other one", first)] if first is not None else []
        message = f"`train` has both `{chosen[0]}` and `{other}`"
        report.add("CS926", message, settings[other][1], help="keep one of them", notes=notes)
    name = _check_optimizer(checker, settings)
    if len(chosen) != 1:
        return
    word = chosen[0]
    _check_settings(checker, section, settings, word, name)
    if word == "loss":
        if name == "evolution":
            value = settings["optimizer"][0]
            help = "write `maximize` or `minimize` and a measure, or an optimiser with a gradient, such as `adam`"
            report.add("CS926", "`evolution` optimises a measure, not a `loss` on data", value.span, help=help)
        return
    if checker.dataset is not None:
        message = f"`{word}` is of a run of the circuit, and this experiment has a data set"
        help = "write `loss = ...`, or leave out the data set"
        report.add("CS926", message, settings[word][1], help=help)
    measure = _measure(checker, word, settings[word][0])
    if measure is not None and name in DEFAULTS:
        _check_gradient(checker, measure, name, settings)


def _check_optimizer(checker: ExperimentChecker, settings: Settings) -> str:
    """Its name, `adam` where none is written; an unknown name is reported, and so are options that it has not."""
    if "optimizer" not in settings:
        return "adam"
    value = settings["optimizer"][0]
    function = value.function if isinstance(value, tree.Call) else value
    name = print_expression(function)
    if name in LATER:
        return name
    if name not in OPTIMIZERS:
        help = suggestion(name, OPTIMIZERS) or f"there are {', '.join(OPTIMIZERS)}"
        checker.report.add("CS804", f"there is no optimiser `{name}`", function.span or value.span, help=help)
        return name
    known = OPTIMIZERS[name]
    for argument in value.arguments if isinstance(value, tree.Call) else ():
        if not argument.name:
            help = f"it has {', '.join(known)}"
            checker.report.add("CS306", f"options of `{name}` are named", argument.span, help=help)
        elif argument.name not in known:
            help = suggestion(argument.name, known) or f"it has {', '.join(known)}"
            message = f"`{name}` has no option `{argument.name}`"
            checker.report.add("CS804", message, argument.span, help=help)
    if name == "evolution" and isinstance(value, tree.Call):
        _check_evolution(checker, value)
    return name


def _check_evolution(checker: ExperimentChecker, call: tree.Call) -> None:
    """Whole numbers of parents and offspring, not more parents than offspring; a step above 0, a decay in (0, 1]."""
    given = {one.name: one.value for one in call.arguments if one.name in EVOLUTION and one.value is not None}
    for name in ("parents", "offspring"):
        if name in given:
            checker.whole(name, given[name])
    numbers = dict(EVOLUTION)
    for name, value in given.items():
        static = checker.number(value)
        if static is None:
            return
        numbers[name] = static
    wrong = (
        ("parents", numbers["parents"] > numbers["offspring"], "there are more `parents` than `offspring`"),
        ("step", not numbers["step"] > 0, "`step` is how far candidates are drawn, so it exceeds 0"),
        ("decay", not 0 < numbers["decay"] <= 1, "`decay` is what the step is multiplied by: above 0, at most 1"),
    )
    for name, broken, message in wrong:
        if broken:
            at = given.get(name, given.get("offspring", call))
            checker.report.add("CS926", message, at.span or call.span)


def _check_settings(
    checker: ExperimentChecker, section: written.Section, settings: Settings, word: str, optimizer: str
) -> None:
    """What stands in `train` in vain."""
    _check_carrying(checker, settings)
    if word == "loss":
        idle, why = _OF_SEARCH, "is of an evaluation of `maximize`; with a `loss` the data say it"
    elif optimizer == "evolution":
        idle, why = (*_OF_DATA, *_OF_GRADIENT), "has no meaning for `evolution`"
    else:
        idle, why = _OF_DATA, f"is of training on data, and this is `{word}`"
    for name in idle:
        if name in settings:
            help = "count in `epochs`" if name == "steps" else "leave it out"
            checker.report.add("CS926", f"`{name}` {why}", settings[name][1], help=help)
    for one in section.body if word != "loss" else ():
        if one.kind in ("penalty", "stimulus"):
            help = "write it into the measure" if one.kind == "penalty" else "write it outside of `train`"
            checker.report.add("CS926", f"a {one.kind} in `train` belongs to a `loss`", one.span, help=help)


def _check_carrying(checker: ExperimentChecker, settings: Settings) -> None:
    """CS602 and CS926 for `carry_state` and what goes with it."""
    carries = False
    if "carry_state" in settings:
        value, span = settings["carry_state"]
        carries = value == tree.Name("true")
        if not carries and value != tree.Name("false"):
            checker.report.add("CS602", "`carry_state` is true or false", value.span or span)
            return
    if "reset_chance" in settings and not carries:
        message = "`reset_chance` is of states that are carried from batch to batch, and here each begins anew"
        checker.report.add("CS926", message, settings["reset_chance"][1], help="write `carry_state = true`")
    if carries and "shuffle" in settings and settings["shuffle"][0] == tree.Name("true"):
        message = "`carry_state` goes through segments in their order, and `shuffle` through trials in none"
        checker.report.add("CS926", message, settings["shuffle"][1], help="leave out `shuffle`")


def running_mean(measure: tree.Expression) -> tree.Expression | None:
    """What a measure takes the mean of while training goes on: `running_mean(e)` as a whole; None for another measure."""
    match measure:
        case tree.Call(function=tree.Name("running_mean"), arguments=(tree.Argument(name="", value=inner),)):
            return inner
        case _:
            return None


def check_running(checker: ExperimentChecker, settings: Settings) -> None:
    """CS926 where `running_mean` is no whole measure, or nothing is trained by a `loss` on data that it could be of."""
    named = {name: value for name, value in checker.values.items() if name not in checker.undefined}
    for name, value in named.items():
        inner = running_mean(value) if checker.kinds[name] == "measure" else None
        if inner is not None and "loss" not in settings:
            help = "write `train { loss = ... }`, or `mean`"
            checker.report.add(
                "CS926", f"`{name}` is of training by a `loss`, and there is none here", value.span, help=help
            )
        _check_alone(checker, inner if inner is not None else value)
    for key, (value, _) in settings.items():
        if key == "loss":
            _check_alone(checker, value)


def _check_alone(checker: ExperimentChecker, node: tree.Expression) -> None:
    """A value of one training has no value in a run."""
    pending = [node]
    while pending:
        inner = pending.pop()
        if isinstance(inner, tree.Call) and inner.function == tree.Name("running_mean"):
            message = "`running_mean` is a measure as a whole: nothing is computed of it"
            help = "write `measure NAME = running_mean(...)`, and compare it in a claim"
            checker.report.add("CS926", message, inner.span, help=help)
        pending += children(inner)


def _measure(checker: ExperimentChecker, word: str, value: tree.Expression) -> str | None:
    """The measure that is optimised, None after a mistake."""
    text = print_expression(value)
    measures = [name for name, kind in checker.kinds.items() if kind == "measure"]
    if text not in measures:
        message = f"`{word}` takes a measure of this experiment, and `{text}` is none"
        help = suggestion(text, measures) or f"write `measure NAME = ...`, and `{word} = NAME`"
        checker.report.add("CS924", message, value.span, help=help)
        return None
    if text in checker.undefined:
        message = f"`{text}` measures what the variant `{checker.cell.variant}` removes"
        checker.report.add("CS924", message, value.span)
        return None
    operand = checker.operand(text)
    if operand is None:
        return text
    own = [axis for axis in operand.type.names if axis != "trial"]
    if own or operand.type.dtype not in ("float", "int"):
        what = f"it has the axes {', '.join(own)}" if own else "it is no number"
        span = checker.spans[text]
        notes = [Note("measured here", span)] if span is not None else []
        help = "take a mean, or another number of it, as a measure of its own" if own else ""
        checker.report.add("CS924", f"`{text}` cannot be optimised: {what}", value.span, help=help, notes=notes)
        return None
    return text


def _check_gradient(checker: ExperimentChecker, measure: str, optimizer: str, settings: Settings) -> None:
    """CS925 where the measure is read along a run, or found by an analysis that has no gradient."""
    found = next(_without_gradient(checker, checker.values[measure], set()), None)
    if found is None:
        return
    node, why = found
    value = settings["optimizer"][0] if "optimizer" in settings else settings[next(iter(settings))][0]
    notes = [Note(why, node.span)] if node.span is not None else []
    message = f"`{optimizer}` follows a gradient, and `{measure}` has none"
    help = "write `optimizer = evolution(...)`" + _differentiable(checker)
    checker.report.add("CS925", message, value.span, help=help, notes=notes)


def _without_gradient(
    checker: ExperimentChecker, node: tree.Expression, seen: set[str]
) -> Iterator[tuple[tree.Expression, str]]:
    """What in a measure has no gradient, and why."""
    entries, statistics = checker.typing.library.measures, checker.typing.library.statistics
    if isinstance(node, tree.Call) and isinstance(node.function, tree.Name) and node.function.name in statistics:
        yield node, f"`{node.function.name}` has none"
        return
    if isinstance(node, tree.Call) and isinstance(node.function, tree.Name) and node.function.name in entries:
        name, entry = node.function.name, entries[node.function.name]
        if isinstance(entry, AnalysisEntry) and entry.differentiable:
            return
        how = "is found without one" if isinstance(entry, AnalysisEntry) else "counts along a run"
        yield node, f"`{name}` {how}"
        return
    if isinstance(node, (tree.Name, tree.Member)):
        text = print_expression(node)
        if text in checker.values and text not in seen:
            yield from _without_gradient(checker, checker.values[text], {*seen, text})
        elif checker.moves(text):
            yield node, f"`{text}` is read along a run"
        return
    inside = list(children(node))
    for inner in inside[1:] if isinstance(node, tree.Call) else inside:  # a function may have the name of a let
        yield from _without_gradient(checker, inner, seen)


def _differentiable(checker: ExperimentChecker) -> str:
    known = sorted(
        name
        for name, entry in checker.typing.library.measures.items()
        if isinstance(entry, AnalysisEntry) and entry.differentiable
    )
    return f", or measure it by `{'`, `'.join(known)}`" if known else ""


__all__ = ["OBJECTIVES", "check_training"]
