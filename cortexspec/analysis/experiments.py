"""What an experiment says about its circuit: sections, measures, variants, claims, each checked against the circuit it is of.

In an experiment all axes are written: [trial, time, instance, neuron, own...]; names of the circuit are unqualified.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from cortexspec.analysis.apply_variant import Cell, Merged
from cortexspec.analysis.claim_units import ClaimUnits
from cortexspec.analysis.data_sets import check_dataset, signature_of
from cortexspec.analysis.expand_templates import walk
from cortexspec.analysis.infer_types import BodyScope, Typing, kind_of_unit
from cortexspec.analysis.library import ADAPTIVE, FIXED_STEP
from cortexspec.analysis.model import ClaimModel, ExperimentModel, MeasureModel, Model, Penalty
from cortexspec.analysis.report import Report, suggestion
from cortexspec.analysis.resolve_names import Unresolved, literal
from cortexspec.analysis.rules.facts import Facts
from cortexspec.analysis.scope import Body, Declared, Opaque, ProjectionHere, Static
from cortexspec.analysis.static import NotStatic, evaluate, evaluated
from cortexspec.analysis.surrogates import without_surrogate
from cortexspec.analysis.training import OBJECTIVES, check_running, check_training
from cortexspec.contracts.operand import Operand
from cortexspec.contracts.plugin import FunctionEntry
from cortexspec.contracts.translate import translate
from cortexspec.diagnostics import Diagnostic, Note, Span
from cortexspec.expressions import tree
from cortexspec.expressions.print import print_expression
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.schema import statement as written
from cortexspec.schema.spec import Experiment
from cortexspec.units import DIMENSIONLESS, Unit

TRIAL = Axis("trial", Size.symbol("trial"), "sample")
TIME = Axis("time", Size.symbol("time"), "time")
SIMULATE = ("duration", "dt", "solver", "warm_up", "trials", "seed", "wiring", "rtol", "atol")
TRAIN = (
    "loss", "maximize", "minimize", "parameters", "optimizer", "schedule", "batch", "epochs", "steps", "clip", "shuffle",
    "duration", "trials", "warm_up", "carry_state", "reset_chance",
)  # fmt: skip
_STEPS_OFF = 1e-6


@dataclass(frozen=True)
class Around:
    """What an experiment may know of the others in its file."""

    experiments: Mapping[str, Experiment]
    merged: Mapping[str, Merged]

    def measures(self, name: str) -> tuple[str, ...]:
        merged = self.merged.get(name)
        return tuple(one.name for one in merged.body if isinstance(one, written.Measure)) if merged is not None else ()


class ExperimentChecker:
    """Types one cell of an experiment; `typing` and `model` are those of the cell's circuit."""

    def __init__(self, merged: Merged, cell: Cell, typing: Typing, model: Model | None, around: Around, report: Report):
        self.merged, self.cell, self.typing, self.model = merged, cell, typing, model
        self.around, self.report = around, report
        self.facts = Facts(model) if model is not None else None
        self.dataset: tree.Expression | None = None
        self.sections: dict[str, dict[str, tuple[tree.Expression, Span | None]]] = {"simulate": {}, "train": {}}
        self.values: dict[str, tree.Expression] = {}
        self.spans: dict[str, Span | None] = {}
        self.kinds: dict[str, str] = {}
        self.types: dict[str, Operand | None] = {}
        self.busy: list[str] = []
        self.undefined: set[str] = set()  # measures of something that this variant removed
        self.vary: list[tuple[tuple[str, ...], tuple[tuple[tree.Expression, ...], ...]]] = []
        top = typing.expander.result.body
        self.body = Body("", "experiment", merged.name, outer=top, sizes=typing.expander.sizes)

    def check(self) -> ExperimentModel:
        for one in self.cell.body:
            self.collect(one)
        self.collect_vary()
        lets = [name for name, kind in self.kinds.items() if kind == "let"]
        measures = [name for name, kind in self.kinds.items() if kind == "measure"]
        for name in (*lets, *measures):
            self.operand(name)
        simulate = self.simulate()
        train, penalties = self.train()
        check_running(self, self.sections["train"])
        stimuli = self.stimuli()
        self.variants()
        claims = self.claims()
        return ExperimentModel(
            self.merged.name,
            self.merged.circuit,
            self.dataset,
            MappingProxyType(simulate),
            MappingProxyType(train) if train is not None else None,
            tuple(penalties),
            tuple(stimuli),
            tuple((name, self.resolved(self.values[name])) for name in lets if name not in self.undefined),
            tuple(
                MeasureModel(name, self.resolved(self.values[name]), self.spans[name], self.unit(name))
                for name in measures
                if name not in self.undefined
            ),
            tuple(self.vary),
            MappingProxyType({one.name: one.of for one in self.merged.body if isinstance(one, written.Variant)}),
            tuple(claims),
            self.merged.span,
        )

    # What is there.

    def collect(self, one: written.Statement) -> None:
        match one:
            case written.Equation(left=tree.Name("dataset")):
                self.dataset = one.right
                if not self.typing.library.missing_plugins:
                    check_dataset(one.right, self.typing.library.datasets, self.report)
            case written.Declare(kind="let"):
                for declarator in one.declarators:
                    self.name("let", declarator.name, declarator.value, declarator.span or one.span)
            case written.Measure():
                self.name("measure", one.name, one.value, one.span)
            case written.Section(kind="simulate" | "train" as kind):
                self.collect_section(one, kind)
            case _:
                pass

    def name(self, kind: str, name: str, value: tree.Expression | None, span: Span | None) -> None:
        circuit = self.typing.expander.result.body
        if name in circuit.names:
            first = circuit.spans.get(name)
            notes = [Note("declared here", first)] if first is not None else []
            message = f"the {kind} `{name}` has the name of something in the circuit `{self.merged.circuit}`"
            self.report.add("CS302", message, span, help="choose another name", notes=notes)
            return
        if name in self.values:
            notes = [Note("declared here first", self.spans[name])] if self.spans[name] else []
            self.report.add("CS302", f"`{name}` is declared twice", span, notes=notes)
            return
        if value is not None:
            self.values[name], self.spans[name], self.kinds[name] = value, span, kind

    def collect_section(self, section: written.Section, kind: str) -> None:
        known = SIMULATE if kind == "simulate" else TRAIN
        for one in section.body:
            if isinstance(one, written.Equation) and isinstance(one.left, tree.Name):
                name = one.left.name
                if name not in known:
                    help = suggestion(name, known) or f"it has {', '.join(known)}"
                    self.report.add("CS923", f"`{kind}` has no setting `{name}`", one.left.span or one.span, help=help)
                elif name in self.sections[kind]:
                    self.report.add("CS302", f"`{name}` is set twice", one.left.span or one.span)
                else:
                    self.sections[kind][name] = (one.right, one.span)
            elif not (kind == "train" and one.kind in ("penalty", "stimulus")):
                self.report.add("CS105", f"this cannot stand in `{kind}`", one.span)

    def fields(self) -> Mapping[str, Type] | None:
        """The data set's own fields; None where nobody can tell."""
        if self.dataset is None:
            return {}
        signature = signature_of(self.dataset, self.typing.library.datasets)
        return signature.fields if signature is not None else None

    # Typed expressions.

    def resolved(self, node: tree.Expression) -> tree.Expression:
        """The expression with the circuit's names resolved; as written where a plugin is missing."""
        scope = _Names(self)
        try:
            return scope.walk(node)
        except Unresolved:
            return node

    def operand(self, name: str) -> Operand | None:
        """The type of a let or measure."""
        if name in self.types:
            return self.types[name]
        if self.speaks_of_removed(name, set()):
            self.undefined.add(name)
            self.types[name] = None
            return None
        if name in self.busy:
            self.report.add("CS305", f"`{name}` is defined by itself", self.spans[name])
            return None
        self.busy.append(name)
        self.types[name] = self.typed(self.values[name])
        if self.kinds[name] == "measure":
            self.refuse_time(self.values[name])
        self.busy.remove(name)
        return self.types[name]

    def unit(self, name: str) -> Unit | None:
        """The unit of a let or measure; None where it is not known, and for 0, which has any."""
        operand = self.operand(name)
        return operand.type.unit if operand is not None and not operand.zero else None

    def speaks_of_removed(self, name: str, seen: set[str]) -> bool:
        """A measure that names what this variant removed is undefined in it, and no mistake."""
        if not self.cell.removed or name in seen:
            return False
        seen.add(name)
        for node in walk(self.values[name]):
            text = print_expression(node) if isinstance(node, (tree.Name, tree.Member)) else ""
            if text in self.cell.removed or (text in self.values and self.speaks_of_removed(text, seen)):
                return True
        return False

    def typed(self, node: tree.Expression) -> Operand | None:
        try:
            resolved = _Names(self, counting=True).walk(node)
        except Unresolved:
            return None
        if self.facts is None:
            return None  # the circuit is wrong: what moves in it is not known
        build = Builder(self.typing.names)
        build.span = node.span
        return translate(resolved, _Scope(self), build)

    def refuse_time(self, node: tree.Expression) -> None:
        """CS301 where a measure reads `t`, itself or through a let: it is made of recordings, which have rows."""
        seen: set[str] = set()
        stack = [(node, node.span)]
        while stack:
            root, span = stack.pop()
            for name, at in [(inner.name, inner.span) for inner in walk(root) if isinstance(inner, tree.Name)]:
                if name == "t":
                    help = "select rows, a step each: `x[time = 0..99]`"
                    self.report.add("CS301", "a measure has no `t`", at if root is node else span, help=help)
                    return
                if name in self.values and name not in seen:
                    seen.add(name)
                    stack.append((self.values[name], at if root is node else span))

    def refuse_statistics(self, node: tree.Expression) -> None:
        """CS308 where what is no measure calls a statistic, itself or through a let."""
        found = next(self.statistics_in(node, set()), None)
        if found is not None:
            message = self.typing.library.statistics[_called(found)].only_measures
            notes = [Note("called here", found.span)] if found.span is not None else []
            self.report.add("CS308", message, node.span, help="leave it out of what is trained or run", notes=notes)

    def statistics_in(self, node: tree.Expression, seen: set[str]) -> Iterator[tree.Call]:
        """The calls of statistics that an expression depends on."""
        for inner in walk(node):
            if isinstance(inner, tree.Call) and _called(inner) in self.typing.library.statistics:
                yield inner
            elif isinstance(inner, tree.Name) and inner.name in self.values and inner.name not in seen:
                yield from self.statistics_in(self.values[inner.name], seen | {inner.name})

    def moves(self, path: str) -> bool:
        if self.facts is None:
            return False
        return any(self.facts.moves(member) for member in self.facts.members(path))

    # Sections.

    def simulate(self) -> dict[str, tree.Expression]:
        settings = self.sections["simulate"]
        found: dict[str, tree.Expression] = {}
        times: dict[str, Static] = {}
        for name, (value, _) in settings.items():
            found[name] = value
            static = evaluated(value, self.body)
            if static is None or name in ("solver",):
                continue
            found[name] = literal(static, value.span)
            if name in ("duration", "dt", "warm_up"):
                if self.time(name, value) is not None:
                    times[name] = static
            elif name == "trials":
                self.whole(name, value)
            elif name in ("rtol", "atol"):
                self.pure(f"`{name}`", value)
        self.check_steps(settings, times)
        self.check_solver(settings)
        return found

    def check_steps(
        self, settings: Mapping[str, tuple[tree.Expression, Span | None]], times: Mapping[str, Static]
    ) -> None:
        """Durations are whole numbers of steps; delays are at least one step, or 0."""
        step = times["dt"].number if "dt" in times else None
        if step is None:
            return
        if not step > 0:
            self.report.add("CS916", "the step `dt` must be longer than 0", settings["dt"][0].span)
            return
        for name in ("duration", "warm_up"):
            number = times[name].number if name in times else None
            if number is None:
                continue
            steps = number / step
            if number < 0 or abs(steps - round(steps)) > _STEPS_OFF:
                nearest = _shown(round(steps) * step, self.typing.time_unit)
                message = f"`{name}` is no whole number of steps of `dt`: it is {steps:g} of them"
                self.report.add("CS916", message, settings[name][0].span, help=f"write `{nearest}`, or change `dt`")
        for here in self.typing.expander.result.projections:
            self.check_delay(here, step)

    def check_delay(self, here: ProjectionHere, step: float) -> None:
        value = here.delay.value if here.delay is not None else None
        static = evaluated(value, here.body) if value is not None else None
        number = static.number if static is not None else None
        if value is not None and number is not None and 0 < number < step / 2:
            message = f"the delay of `{here.path}` is shorter than half a step, so it would be none"
            self.report.add("CS916", message, value.span, help="write `0 ms`, or a smaller `dt`")

    def check_solver(self, settings: Mapping[str, tuple[tree.Expression, Span | None]]) -> None:
        if "solver" not in settings:
            return
        node = settings["solver"][0]
        if not isinstance(node, tree.Name):
            self.report.add("CS711", "a solver is a name, such as `euler`", node.span)
            return
        if node.name not in FIXED_STEP and node.name not in ADAPTIVE:
            near = suggestion(node.name, (*FIXED_STEP, *ADAPTIVE))
            self.report.add(
                "CS711",
                f"there is no solver `{node.name}`",
                node.span,
                help=near or f"there are {', '.join(FIXED_STEP)}",
            )
            return
        if self.model is None:
            return
        for reason, span in _cannot(node.name, self.model):
            notes = [Note("here", span)] if span is not None else []
            help = "use a solver of fixed step, such as `heun`" if node.name in ADAPTIVE else "use `euler_maruyama`"
            self.report.add("CS712", f"the solver `{node.name}` cannot do {reason}", node.span, notes=notes, help=help)
            return

    def train(self) -> tuple[dict[str, tree.Expression] | None, list[Penalty]]:
        section = next(
            (one for one in self.cell.body if isinstance(one, written.Section) and one.kind == "train"), None
        )
        if section is None:
            return None, []
        settings = self.sections["train"]
        found: dict[str, tree.Expression] = {}
        for name, (value, _) in settings.items():
            static = (
                None if name in (*OBJECTIVES, "optimizer", "schedule", "reset_chance") else evaluated(value, self.body)
            )
            found[name] = literal(static, value.span) if static is not None else value
            if name == "loss":
                self.typed(value)
                self.refuse_statistics(value)
                found[name] = self.resolved(value)
        check_training(self, section, settings)
        self.check_train_numbers(settings)
        self.check_trained(settings)
        self.check_surrogates(settings)
        penalties: list[Penalty] = []
        for one in section.body:
            if isinstance(one, written.Penalty):
                self.typed(one.value)
                self.refuse_statistics(one.value)
                penalties.append(Penalty(one.name, self.resolved(one.value), one.span))
        return found, penalties

    def check_train_numbers(self, settings: Mapping[str, tuple[tree.Expression, Span | None]]) -> None:
        """What an optimiser gets are pure numbers: it moves raw values, which have no unit."""
        for name, (value, _) in settings.items():
            if name in ("optimizer", "schedule") and isinstance(value, tree.Call):
                of = f" of `{print_expression(value.function)}`"
                for argument in value.arguments:
                    if argument.value is not None:
                        self.pure(f"`{argument.name}`{of}" if argument.name else f"an argument{of}", argument.value)
            elif name == "clip":
                self.pure("`clip`", value)
            elif name == "reset_chance":
                self.pure("`reset_chance`", value, step=Static(0.0))
            elif name in ("batch", "epochs", "steps", "trials"):
                self.whole(name, value)
            elif name in ("duration", "warm_up"):
                self.time(name, value)

    def time(self, name: str, value: tree.Expression) -> Static | None:
        """A time, or a number of steps where time is counted in them."""
        static = evaluated(value, self.body)
        if static is None or static.unit == self.typing.time_unit or static.number == 0:
            return static
        expected = _spoken(self.typing.time_unit)
        label = f"expected {expected}, found {_spoken(static.unit)}"
        self.report.add("CS401", f"`{name}` is wanted in {expected}", value.span, label=label)
        return None

    def number(self, value: tree.Expression) -> float | None:
        """A pure number that is known before anything runs, None where it is none."""
        static = evaluated(value, self.body)
        known = static is not None and static.unit == DIMENSIONLESS and not isinstance(static.value, bool)
        return static.number if static is not None and known else None

    def pure(self, what: str, value: tree.Expression, **names: Static) -> Static | None:
        """The value of a setting that is a number without a unit; `names` it may read besides. None where it is something else."""
        try:
            static = evaluate(value, replace(self.body, names={**names}, outer=self.body) if names else self.body)
        except NotStatic as error:
            if not self.typing.library.missing_plugins:
                self.report.add(error.code, error.message, error.span, label=error.label, help=error.help)
            return None
        if static.number is None or isinstance(static.value, bool):
            text = print_expression(value)
            self.report.add("CS602", f"{what} is a number, but it is given `{text}`", value.span)
            return None
        if static.unit == DIMENSIONLESS:
            return static
        label = f"expected a pure number, found {_spoken(static.unit)}"
        self.report.add(
            "CS401", f"{what} is a pure number, but it is given {kind_of_unit(static.unit)}", value.span, label=label
        )
        return None

    def whole(self, name: str, value: tree.Expression, least: int = 1) -> None:
        static = self.pure(f"`{name}`", value)
        number = static.number if static is not None else None
        if number is not None and (number < least or not float(number).is_integer()):
            message = f"`{name}` is a whole number, at least {least}, but it is {number:g}"
            self.report.add("CS505", message, value.span)

    def check_trained(self, settings: Mapping[str, tuple[tree.Expression, Span | None]]) -> None:
        if self.model is None or self.model.opaque:  # what a missing plugin brings may be trained
            return
        named = settings["parameters"][0] if "parameters" in settings else None
        if isinstance(named, tree.ListOf) and not named.items:
            self.report.add("CS923", "`parameters` names nothing", named.span, help="write `parameters = [core.b0]`")
        elif named is None and not any(variable.trainable for variable in self.model.variables.values()):
            span = next(iter(settings.values()))[1] if settings else self.merged.span
            message = f"nothing in `{self.merged.circuit}` is trainable"
            self.report.add("CS923", message, span, help="write `trainable` after a parameter")

    def check_surrogates(self, settings: Mapping[str, tuple[tree.Expression, Span | None]]) -> None:
        """Training across a spike without a surrogate has gradient zero: it would silently learn nothing."""
        if self.model is None or "loss" not in settings:
            return
        optimizer = settings.get("optimizer")
        text = print_expression(optimizer[0]) if optimizer is not None else ""
        if text.startswith("evolution"):
            return
        if not self.reads_recordings(settings["loss"][0], set()):
            return
        notes = [Note("trained here", settings["loss"][1])] if settings["loss"][1] is not None else []
        self.report.put(*without_surrogate(self.model, notes))

    def reads_recordings(self, node: tree.Expression, seen: set[str]) -> bool:
        """Whether an expression reads something that moves, directly or through a let."""
        for inner in walk(node):
            if isinstance(inner, tree.Name) and inner.name in self.values and inner.name not in seen:
                seen.add(inner.name)
                if self.reads_recordings(self.values[inner.name], seen):
                    return True
            path = print_expression(inner) if isinstance(inner, (tree.Name, tree.Member)) else ""
            if path and self.moves(path):
                return True
        return False

    def stimuli(self) -> list[tuple[str, tree.Expression]]:
        found: list[tuple[str, tree.Expression]] = []
        sections = [one for one in self.cell.body if isinstance(one, written.Section) and one.kind == "train"]
        inside = [one for section in sections for one in section.body]
        for one in (*self.cell.body, *inside):
            if not isinstance(one, written.Stimulus):
                continue
            entry = self.typing.expander.entry(one.target, self.body)
            if isinstance(entry, Declared) and entry.kind != "input":
                message = f"a stimulus drives an input, and `{print_expression(one.target)}` is none"
                self.report.add("CS503", message, one.target.span)
            self.typed(one.value)
            self.refuse_statistics(one.value)
            if isinstance(entry, Declared):
                found.append((entry.path, self.resolved(one.value)))
        return found

    def collect_vary(self) -> None:
        seen: dict[str, Span | None] = {}
        for section in self.merged.body:
            if not isinstance(section, written.Section) or section.kind != "vary":
                continue
            for one in section.body:
                if not isinstance(one, written.Equation):
                    self.report.add("CS105", "`vary` takes lines like `a = [1, 2]`", one.span)
                    continue
                names = [one.left] if not isinstance(one.left, tree.ListOf) else list(one.left.items)
                for node in names:
                    text = print_expression(node)
                    if text in seen:
                        self.report.add("CS302", f"`{text}` is varied twice", node.span)
                    seen[text] = node.span
                    self.check_varied(node)
                self.vary.append((tuple(print_expression(node) for node in names), self.rows(one.right, len(names))))

    def check_varied(self, node: tree.Expression) -> None:
        text = print_expression(node)
        if text in ("seed", "wiring"):
            return
        entry = self.typing.expander.entry(node, self.body.outer or self.body)
        if isinstance(entry, Declared) and entry.kind not in ("param", "constant", "let"):
            self.report.add("CS316", f"`{text}` is {entry.kind}, which cannot be varied", node.span)

    def rows(self, node: tree.Expression, width: int) -> tuple[tuple[tree.Expression, ...], ...]:
        try:
            static = evaluate(node, self.body)
        except NotStatic as error:
            if isinstance(node, tree.ListOf) and not node.unit and self.of_circuit(node):
                return self.written_rows(node, width)
            if not self.typing.library.missing_plugins:
                self.report.add(error.code, error.message, error.span, label=error.label, help=error.help)
            return ()
        items = static.value if isinstance(static.value, tuple) else (static,)
        made: list[tuple[tree.Expression, ...]] = []
        for item in items:
            parts = item.value if width > 1 and isinstance(item.value, tuple) else (item,)
            if len(parts) != width:
                message = f"{width} names are varied together, so each item has {width} values"
                self.report.add("CS306", message, node.span)
                return ()
            made.append(tuple(literal(part, node.span) for part in parts))
        return tuple(made)

    def of_circuit(self, node: tree.Expression) -> bool:
        """Whether every name in an expression is one of the circuit: an edit may write it in the place of another value."""
        outer = self.body.outer or self.body
        names = [inner.name for inner in walk(node) if isinstance(inner, tree.Name)]
        functions = {
            i.function.name for i in walk(node) if isinstance(i, tree.Call) and isinstance(i.function, tree.Name)
        }
        return all(name in functions or outer.find(name) is not None for name in names)

    def written_rows(self, node: tree.ListOf, width: int) -> tuple[tuple[tree.Expression, ...], ...]:
        """Values that are expressions of the circuit, as they are written."""
        made: list[tuple[tree.Expression, ...]] = []
        for item in node.items:
            parts = item.items if width > 1 and isinstance(item, tree.ListOf) else (item,)
            if len(parts) != width:
                message = f"{width} names are varied together, so each item has {width} values"
                self.report.add("CS306", message, item.span or node.span)
                return ()
            made.append(tuple(parts))
        return tuple(made)

    # Variants and claims.

    def variants(self) -> None:
        known = {one.name: one for one in self.merged.body if isinstance(one, written.Variant)}
        for one in known.values():
            if one.of and one.of not in known and one.of != "base":
                self.report.add("CS301", f"there is no variant `{one.of}`", one.span, help=suggestion(one.of, known))

    def claims(self) -> list[ClaimModel]:
        made: list[ClaimModel] = []
        for one in self.merged.body:
            if not isinstance(one, written.Claim):
                continue
            bound = {name for range_ in one.ranges for name in range_.names}
            for part in (one.value, one.published, one.within, one.of):
                if part is not None:
                    self.claim_names(part, bound)
                    self.claim_of_undefined(part, one)
            self.claim_units(one, bound)
            for row in self.claim_rows(one):
                made.append(
                    ClaimModel(
                        one.text, one.source, one.value, one.published, one.within, one.relative, one.of,
                        one.contradicts, MappingProxyType(row), one.span,
                    )
                )  # fmt: skip
        return made

    def claim_units(self, claim: written.Claim, bound: set[str]) -> None:
        def measured(name: str) -> Unit | None:
            return self.unit(name) if self.kinds.get(name) in ("measure", "let") and name not in bound else None

        units = ClaimUnits(measured, self.report)
        within = None if claim.relative else claim.within
        parts = [one for one in (claim.published, claim.of, within) if one is not None]
        units.alike([units.of(claim.value), *map(units.of, parts)], parts[0].span if parts else claim.span)

    def claim_rows(self, claim: written.Claim) -> list[dict[str, str]]:
        choices: list[list[dict[str, str]]] = []
        for one in claim.ranges:
            values = one.values
            if isinstance(values, tree.ListOf):
                items = list(values.items)
            else:
                static = evaluated(values, self.body)
                items = [literal(i, None) for i in static.value] if static and isinstance(static.value, tuple) else []
                if not items:
                    self.report.add("CS308", "a claim's `for` goes over a list or a range", values.span)
            rows: list[dict[str, str]] = []
            for item in items:
                parts = item.items if isinstance(item, tree.ListOf) and len(one.names) > 1 else (item,)
                if len(parts) != len(one.names):
                    self.report.add(
                        "CS306", f"{len(one.names)} names stand for an item of {len(parts)}", item.span or values.span
                    )
                    continue
                rows.append({name: print_expression(part) for name, part in zip(one.names, parts, strict=True)})
            choices.append(rows)
        return [{k: v for row in combination for k, v in row.items()} for combination in itertools.product(*choices)]

    def claim_names(self, node: tree.Expression, bound: set[str]) -> None:
        """Every name in a claim is a measure, a let, something varied, a variant, or bound by the claim's `for`."""
        match node:
            case tree.Name(name):
                self.claim_name(name, node.span, bound)
            case tree.Member():
                self.claim_member(node, bound)
            case tree.Index(operand=operand, arguments=arguments):
                self.claim_names(operand, bound)
                for argument in arguments:
                    self.selection(argument, bound, self.owner(operand))
            case tree.Call(function=function, arguments=arguments):
                self.claim_function(function)
                for argument in arguments:
                    if argument.value is not None and argument.name not in ("over", "by"):
                        self.claim_names(argument.value, bound)
            case tree.Unary(operand=operand):
                self.claim_names(operand, bound)
            case tree.Binary(left=left, right=right):
                self.claim_names(left, bound)
                self.claim_names(right, bound)
            case tree.ListOf(items=items):
                for item in items:
                    self.claim_names(item, bound)
            case _:
                pass

    def claim_of_undefined(self, node: tree.Expression, claim: written.Claim) -> None:
        """A claim may not read a measure in a variant that removed what it measures."""
        for inner in walk(node) if self.undefined else ():
            if not isinstance(inner, tree.Index) or not isinstance(inner.operand, tree.Name):
                continue
            chosen = [a.value for a in inner.arguments if a.name == "variant" and isinstance(a.value, tree.Name)]
            bound = {name: range_.values for range_ in claim.ranges for name in range_.names}
            names = {
                print_expression(item)
                for one in chosen
                for item in (walk(bound[one.name]) if one.name in bound else (one,))
            }
            if inner.operand.name in self.undefined and self.cell.variant in names:
                message = f"`{inner.operand.name}` measures what the variant `{self.cell.variant}` removes"
                self.report.add("CS921", message, inner.span)

    def claim_function(self, node: tree.Expression) -> None:
        library = self.typing.library
        if not isinstance(node, tree.Name) or library.missing_plugins:
            return
        known = (*library.functions, *CLAIM_FUNCTIONS)
        if node.name not in known:
            self.report.add(
                "CS301", f"there is no function `{node.name}`", node.span, help=suggestion(node.name, known)
            )

    def claim_name(self, name: str, span: Span | None, bound: set[str]) -> None:
        varied = {one for names, _ in self.vary for one in names}
        variants = {one.name for one in self.merged.body if isinstance(one, written.Variant)}
        if (
            name in bound
            or name in self.values
            or name in varied
            or name in variants
            or name in ("base", "infinity", "π")
        ):
            return
        if self.body.find(name) is not None or self.fields() is None or self.typing.library.missing_plugins:
            return
        help = suggestion(name, [*self.values, *varied, *variants])
        self.report.add("CS921", f"there is no measure `{name}` in `{self.merged.name}`", span, help=help)

    def claim_member(self, node: tree.Member, bound: set[str]) -> None:
        if isinstance(node.owner, tree.Name) and node.owner.name in self.around.experiments:
            self.other_measure(node.owner.name, node)

    def other_measure(self, experiment: str, node: tree.Member) -> None:
        known = self.around.measures(experiment)
        if node.name not in known:
            message = f"the experiment `{experiment}` has no measure `{node.name}`"
            self.report.add("CS921", message, node.span, help=suggestion(node.name, known))

    def owner(self, node: tree.Expression) -> Merged:
        """The experiment whose measure is selected from."""
        if isinstance(node, tree.Member) and isinstance(node.owner, tree.Name):
            return self.around.merged.get(node.owner.name, self.merged)
        return self.merged

    def selection(self, argument: tree.Argument, bound: set[str], owner: Merged) -> None:
        """`accuracy[regions = 4, variant = feedforward]`."""
        if argument.name == "variant":
            variants = [one.name for one in owner.body if isinstance(one, written.Variant)]
            value = argument.value
            if isinstance(value, tree.Name) and value.name not in (*variants, "base", *bound):
                help = suggestion(value.name, [*variants, "base"])
                self.report.add("CS921", f"there is no variant `{value.name}`", value.span, help=help)
            return
        if not argument.name:
            help = "name what is chosen, `f[variant = v]`, or measure that part by itself"
            span = argument.value.span if argument.value is not None else argument.span
            self.report.add("CS921", "a claim chooses a cell by name", span, help=help)
            return
        varied = {names: rows for names, rows in self.vary if argument.name in names}
        if not varied:
            return  # an axis of the measure itself
        value = evaluated(argument.value, self.body) if argument.value is not None else None
        for names, rows in varied.items():
            place = names.index(argument.name)
            known = [evaluated(row[place], self.body) for row in rows]
            if value is not None and known and not any(one is not None and one.value == value.value for one in known):
                shown = ", ".join(print_expression(row[place]) for row in rows[:8])
                message = f"`{argument.name}` is never varied to this value"
                span = argument.value.span if argument.value is not None else argument.span
                self.report.add("CS921", message, span, help=f"it is {shown}")


# Functions of the claims' own: over seeds and over what is varied.
CLAIM_FUNCTIONS = (
    "interior_maximum",
    "interior_minimum",
    "increasing",
    "decreasing",
    "diverged",
    "argmax",
    "argmin",
    "vertex",
    "lagged_product",
)


class _Names:
    """Resolves the names of an experiment; raises Unresolved where a plugin is missing or after a mistake."""

    def __init__(self, checker: ExperimentChecker, counting: bool = False):
        self.checker, self.counting = checker, counting
        self.resolver = checker.typing.resolver

    def walk(self, node: tree.Expression) -> tree.Expression:
        checker, walk = self.checker, self.walk
        match node:
            case tree.Name(name) if name in checker.values:
                return node
            case tree.Name("parameters") | tree.Member(name="parameters"):
                return node
            case tree.Name(name) if checker.body.find(name) is None:
                return self.unknown(node, name)
            case tree.Member(owner=tree.Name(owner)) if checker.body.find(owner) is None:
                return self.member(node, owner)
            case tree.Member(owner=owner, name="arriving"):
                return self.arriving(node, owner)
            case tree.Unary(operand=operand):
                return replace(node, operand=walk(operand))
            case tree.Binary():
                return replace(node, left=walk(node.left), right=walk(node.right))
            case tree.ListOf():
                return replace(node, items=tuple(walk(item) for item in node.items))
            case tree.Index():
                return replace(node, operand=walk(node.operand), arguments=self.selections(node))
            case tree.Call(function=tree.Name(name)) if name == "count" and self.counts_parameters(node):
                return tree.Number("1", span=node.span) if self.counting else node
            case tree.Call():
                return self.call(node)
            case tree.Comprehension():
                raise Unresolved
            case _:
                return self.resolver.walk(node, checker.body)

    def counts_parameters(self, node: tree.Call) -> bool:
        return any(print_expression(a.value).endswith("parameters") for a in node.arguments if a.value is not None)

    def unknown(self, node: tree.Name, name: str) -> tree.Expression:
        checker = self.checker
        fields = checker.fields()
        if fields is not None and name in fields:
            return node
        if fields is None or checker.typing.library.missing_plugins:
            if name not in ("t", "dt", "π", "infinity", "true", "false", "step"):
                raise Unresolved
            return node
        if name in ("t", "dt", "π", "infinity", "true", "false", "step", "end", "seed", "training"):
            return node
        known = [*checker.values, *fields, *checker.body.reachable()]
        checker.report.add("CS301", f"there is no `{name}` here", node.span, help=suggestion(name, known))
        raise Unresolved

    def member(self, node: tree.Member, owner: str) -> tree.Expression:
        checker = self.checker
        if owner in checker.around.experiments:
            if owner == checker.merged.name:
                checker.report.add("CS305", f"`{owner}` reads its own measure", node.span, help=f"write `{node.name}`")
            else:
                checker.other_measure(owner, node)
            raise Unresolved  # another experiment's result has no type here
        if owner in checker.values or owner == "dataset":
            raise Unresolved
        return self.resolver.walk(node, checker.body)

    def arriving(self, node: tree.Member, owner: tree.Expression) -> tree.Expression:
        entry = self.checker.typing.expander.entry(owner, self.checker.body)
        if entry is None or isinstance(entry, Opaque):
            raise Unresolved
        if isinstance(entry, ProjectionHere):
            return tree.Reference(f"{entry.path}.arriving", span=node.span)
        return self.resolver.walk(node, self.checker.body)

    def selections(self, node: tree.Index) -> tuple[tree.Argument, ...]:
        made: list[tree.Argument] = []
        for argument in node.arguments:
            if argument.value is None:
                raise Unresolved
            value = self.resolver.index_value(argument.value, self.checker.body)
            if value is None:
                raise Unresolved
            made.append(replace(argument, value=value))
        return tuple(made)

    def call(self, node: tree.Call) -> tree.Expression:
        checker = self.checker
        name = node.function.name if isinstance(node.function, tree.Name) else ""
        library = checker.typing.library
        template = library.templates.get(name)
        if template is not None or not isinstance(node.function, tree.Name) or checker.body.find(name) is not None:
            return self.resolver.walk(node, checker.body)
        if name not in library.functions and name not in library.distributions and name not in ("shape", "data"):
            if not library.missing_plugins:
                known = [*library.functions, *library.distributions]
                checker.report.add(
                    "CS301", f"there is no function `{name}`", node.function.span, help=suggestion(name, known)
                )
            raise Unresolved
        made: list[tree.Argument] = []
        for argument in node.arguments:
            if argument.value is None:
                raise Unresolved
            if argument.name in ("over", "by", "axis"):
                made.append(replace(argument, value=self.resolver.axis_names(argument.value, checker.body)))
            else:
                made.append(replace(argument, value=self.walk(argument.value)))
        return replace(node, arguments=tuple(made))


class _Scope(BodyScope):
    """Reads of an experiment: recordings have the axes of trials and time in front, and all axes are written."""

    functions: Mapping[str, FunctionEntry]

    def __init__(self, checker: ExperimentChecker, ended: bool = False):
        super().__init__(checker.typing, checker.body)
        self.checker, self.ended = checker, ended
        rate = {"jacobian": "rate", "peak_frequency": "time_unit"}
        unit = {"rate": DIMENSIONLESS / checker.typing.time_unit, "time_unit": checker.typing.time_unit}
        timed = {name: _given(self.functions[name], {setting: unit[setting]}) for name, setting in rate.items()}
        statistics = {name: entry.signature() for name, entry in checker.typing.library.statistics.items()}
        self.functions = {**self.functions, **timed, **statistics}

    def read(self, path: str, build: Builder) -> Operand | None:
        checker = self.checker
        if path in checker.values:
            found = checker.operand(path)
            return None if found is None else self.at_last(found)
        fields = checker.fields() or {}
        if path in fields and checker.body.find(path) is None:
            type_ = fields[path]
            return Operand(
                Value(path, type_.with_axes((TRIAL, *type_.axes))), (TRIAL.name, *(a.name for a in type_.axes))
            )
        if path.endswith(".arriving"):
            return self.recorded(checker.typing.arriving(path.removesuffix(".arriving")), path, True)
        if path in ("t", "dt", "step", "seed"):
            unit = checker.typing.time_unit if path in ("t", "dt") else DIMENSIONLESS
            return Operand(Value(path, Type(unit=unit)))
        return self.recorded(checker.typing.read(path), path, checker.moves(path))

    def recorded(self, operand: Operand | None, path: str, moves: bool) -> Operand | None:
        if operand is None or not moves:
            return operand
        front = (TRIAL,) if self.ended else (TRIAL, TIME)
        grid = self.grid_axes()
        type_ = operand.type.with_axes((*front, *operand.type.axes, *grid))
        names = (*(axis.name for axis in (*grid, *front)), *operand.axes)
        return Operand(Value(path, type_), names)

    def grid_axes(self) -> tuple[Axis, ...]:
        """What is varied and then reduced over: `mean(r^2, over = [θ_s, E])` reads all cells."""
        varied = [name for names, _ in self.checker.vary for name in names]
        used = _reduced_over(self.checker.values.values())
        return tuple(Axis(name, Size.symbol(name)) for name in varied if name in used)

    def at_last(self, operand: Operand) -> Operand:
        if not self.ended or not operand.type.has(TIME.name):
            return operand
        names = tuple(name for name in operand.axes if name != TIME.name)
        return Operand(Value(operand.value.name, operand.type.with_axes(operand.type.without([TIME.name]))), names)

    def around(self) -> tuple[Axis, ...]:
        return ()

    def at_end(self) -> _Scope:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _Scope(self.checker, ended=True)

    def report(self, diagnostic: Diagnostic) -> None:
        super().report(diagnostic)


def _given(entry: FunctionEntry, more: Mapping[str, Any]) -> FunctionEntry:
    """The entry with settings that only the experiment knows."""

    def lines(build: Builder, arguments: Sequence[Operand], settings: Mapping[str, Any]) -> Operand | Value:
        return entry.write(build, arguments, {**settings, **more})

    return replace(entry, write=lines)


def _reduced_over(nodes: Iterable[tree.Expression]) -> set[str]:
    """The names after `over =` in any of the expressions."""
    names: set[str] = set()
    for node in nodes:
        for inner in walk(node):
            for argument in inner.arguments if isinstance(inner, tree.Call) else ():
                if argument.name in ("over", "feature") and argument.value is not None:
                    names |= {print_expression(one) for one in walk(argument.value)}
    return names


def _cannot(solver: str, model: Model) -> Sequence[tuple[str, Span | None]]:
    """What the circuit has that a solver cannot do."""
    found: list[tuple[str, Span | None]] = []
    for population in model.populations:
        if population.noises and solver != "euler_maruyama":
            found.append(("`noise`", population.span))
        if solver in ADAPTIVE:
            if population.spike is not None:
                found.append(("spikes", population.spike.span or population.span))
            if population.updates:
                found.append(("updates `<-`", population.updates[0].span))
    if solver in ADAPTIVE:
        found += [("delays", one.span) for one in model.projections if one.delay is not None]
    return found


def _shown(number: float, unit: Unit) -> str:
    return f"{number:g}" if unit == DIMENSIONLESS else f"{number:g} {unit.name()}"


def _called(call: tree.Call) -> str:
    return call.function.name if isinstance(call.function, tree.Name) else ""


def _spoken(unit: Unit) -> str:
    return "a pure number" if unit == DIMENSIONLESS else unit.name()
