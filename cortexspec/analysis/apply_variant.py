"""Experiments and variants edit the written text before elaboration: Spec in, Spec out, each edit checked.

What a path means is asked of an expansion of the text as it stands; what changes is the text. So `let`s that come later follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from cortexspec.analysis.expand_templates import SETTINGS, Expander, Expansion, TooMuch, placeholders
from cortexspec.analysis.library import Library
from cortexspec.analysis.members import members_in_full
from cortexspec.analysis.report import Report, suggestion
from cortexspec.analysis.scope import (
    Body,
    CircuitHere,
    Declared,
    Entry,
    FunctionHere,
    GroupHere,
    Opaque,
    PenaltyHere,
    PopulationHere,
    ProjectionHere,
    Static,
    kind_of,
    path_of,
)
from cortexspec.diagnostics import Note, Span
from cortexspec.expressions import tree
from cortexspec.expressions.print import print_expression
from cortexspec.schema import statement as written
from cortexspec.schema.spec import Experiment, Spec, Template

# Statements of an experiment that do not touch the circuit.
OF_EXPERIMENT = ("simulate", "train", "vary", "stimulus", "let", "measure", "penalty", "variant", "claim")
Statements = tuple[written.Statement, ...]


@dataclass(frozen=True)
class Cell:
    """An experiment's circuit after its edits, and what the experiment says about it. `span` is the experiment's.

    `whole` is the same cell with the populations that its edits remove: wiring is drawn there. None where none is removed.
    """

    experiment: str
    variant: str
    circuit: str
    arguments: tuple[written.Argument, ...]
    templates: Mapping[str, Template]
    body: Statements
    removed: Mapping[str, Span | None] = field(default_factory=dict[str, "Span | None"])
    cuts: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict[str, tuple[tuple[str, str], ...]])
    span: Span | None = None
    whole: Cell | None = None

    def spec(self, original: Spec) -> Spec:
        """The edited text as a Spec."""
        kept = tuple(
            self.templates.get(item.name, item) if isinstance(item, Template) else item for item in original.items
        )
        known = {item.name for item in kept if isinstance(item, Template)}
        added = tuple(template for name, template in self.templates.items() if name not in known)
        return original.model_copy(update={"items": (*kept, *added)})


@dataclass(frozen=True)
class Merged:
    """An experiment with what it copies from others by `like`."""

    name: str
    circuit: str
    arguments: tuple[written.Argument, ...]
    body: Statements
    span: Span | None


# Experiments that copy others.


def merge_like(experiments: Mapping[str, Experiment], name: str, report: Report) -> Merged | None:
    """`like` copies all but claims; a statement of the same name replaces the copied one."""
    chain: list[Experiment] = []
    while name:
        one = experiments.get(name)
        if one is None:
            if chain:
                message = f"there is no experiment `{name}` to be like"
                report.add("CS301", message, chain[-1].span, help=suggestion(name, experiments))
            return None
        if one in chain:
            if one is chain[0] and one.name == min(e.name for e in chain):  # a circle is reported once
                names = " -> ".join([*(e.name for e in chain), name])
                report.add("CS305", f"experiments copy each other: {names}", chain[0].span)
            return None
        chain.append(one)
        name = one.like
    body: list[written.Statement] = []
    circuit, arguments = "", ()
    for one in reversed(chain):
        if one.of:
            circuit, arguments = one.of, one.arguments
        body = _overlaid([s for s in body if s.kind != "claim"], _single(one.body))
    if not circuit:
        report.add(
            "CS301",
            f"`{chain[0].name}` says not of which circuit it is",
            chain[0].span,
            help="write `experiment NAME of CIRCUIT`",
        )
        return None
    return Merged(chain[0].name, circuit, arguments, tuple(body), chain[0].span)


def _single(body: Iterable[written.Statement]) -> list[written.Statement]:
    """`let a = 1, b = 2` as two statements, so that each can be replaced by its name."""
    made: list[written.Statement] = []
    for one in body:
        if isinstance(one, written.Declare) and len(one.declarators) > 1:
            made += [one.model_copy(update={"declarators": (d,), "span": d.span or one.span}) for d in one.declarators]
        else:
            made.append(one)
    return made


def _overlaid(below: Sequence[written.Statement], above: Sequence[written.Statement]) -> list[written.Statement]:
    """The statements of both; one of `above` stands where one of the same name stood.

    The settings of `simulate` and `train` are statements of their own here; a `vary` is one, since its lines span one grid.
    """
    result = list(below)
    keys = [_key(one) for one in result]
    for one in above:
        key = _key(one)
        if key and key in keys:
            place = keys.index(key)
            below_it = result[place]
            if isinstance(one, written.Section) and isinstance(below_it, written.Section) and one.kind != "vary":
                one = one.model_copy(update={"body": tuple(_overlaid(below_it.body, one.body))})
            result[place] = one
        else:
            result.append(one)
            keys.append("")
    return result


def _key(one: written.Statement) -> str:
    match one:
        case written.Equation(left=left):
            return f"= {print_expression(left)}"
        case written.SetModifiers(target=target):
            return f"~ {print_expression(target)}"
        case written.Section(kind=kind):
            return kind
        case written.Declare(kind=kind, declarators=(only,)) if only.name:
            return f"{kind} {only.name}"
        case (
            written.Measure(name=name)
            | written.Variant(name=name)
            | written.Penalty(name=name)
            | written.Retype(name=name)
        ):
            return f"{one.kind} {name}"
        case written.Stimulus(target=target) | written.Start(target=target):
            return f"{one.kind} {print_expression(target)}"
        case _:
            return ""


# One cell.


def cell_of(
    spec: Spec,
    library: Library,
    merged: Merged,
    variant: str,
    report: Report,
    point: Sequence[written.Statement] = (),
) -> Cell | None:
    """The circuit of an experiment under one variant; `point` are the edits of one place in the grid."""
    statements = variant_chain(merged, variant, report)
    if statements is None:
        return None

    def edited(editor: Editor) -> Editor:
        editor.edit([one for one in merged.body if one.kind not in ("vary", "variant", "claim")])
        for body in statements:
            editor.edit(_single(body), variant=True)
        editor.edit(point)
        editor.train_what_is_named()
        return editor

    editor = edited(Editor(library, merged, report))
    if not editor.removes_populations or report.failed:
        return editor.cell(variant)
    whole = edited(Editor(library, merged, Report(), keep_populations=True))
    return replace(editor.cell(variant), whole=None if whole.report.failed else whole.cell(variant))


def variant_chain(merged: Merged, name: str, report: Report) -> list[Statements] | None:
    """The edits of a variant after those of the variants that it is `of`."""
    variants = {one.name: one for one in merged.body if isinstance(one, written.Variant)}
    chain: list[written.Variant] = []
    while name and name != "base":
        one = variants.get(name)
        if one is None:
            span = chain[-1].span if chain else merged.span
            report.add(
                "CS301", f"there is no variant `{name}` in `{merged.name}`", span, help=suggestion(name, variants)
            )
            return None
        if one in chain:
            if one is chain[0] and one.name == min(v.name for v in chain):
                names = " -> ".join([*(v.name for v in chain), name])
                report.add("CS305", f"variants build on each other: {names}", chain[0].span)
            return None
        chain.append(one)
        name = one.of
    return [one.body for one in reversed(chain)]


def fold_own_edits(template: Template, library: Library, report: Report) -> Template:
    """A circuit's own `hidden.τ trainable` or `rec.weight ~ D` written into the declarations that they speak of."""
    own = [one for one in template.body if isinstance(one, (written.SetModifiers, written.Equation))]
    if template.kind != "circuit" or not own:
        return template
    rest = tuple(one for one in template.body if one not in own)
    base = template.model_copy(update={"body": rest})
    merged = Merged("", template.name, placeholders(template), (), template.span)
    editor = Editor(library.with_templates({template.name: base}), merged, report)
    editor.edit(own)
    return editor.templates[template.name]


class Editor:
    """Edits templates and one experiment's body. With `keep_populations` a population that is to be removed stays."""

    def __init__(self, library: Library, merged: Merged, report: Report, keep_populations: bool = False):
        self.library, self.merged, self.report = library, merged, report
        self.keep_populations, self.removes_populations = keep_populations, False
        self.templates = dict(library.templates)
        self.arguments = list(merged.arguments)
        self.body: list[written.Statement] = []
        self.removed: dict[str, Span | None] = {}
        self.cuts: dict[str, tuple[tuple[str, str], ...]] = {}
        self._expanded: Expander | None = None

    def cell(self, variant: str) -> Cell:
        return Cell(
            self.merged.name, variant or "base", self.merged.circuit, tuple(self.arguments), self.templates,
            members_in_full(self.body), self.removed, self.cuts, self.merged.span,
        )  # fmt: skip

    # What the text means as it stands.

    def expanded(self) -> Expander:
        if self._expanded is None:
            scratch = Expander(replace(self.library, templates=self.templates), Report())
            template = self.templates[self.merged.circuit]
            with suppress(TooMuch, RecursionError):
                scratch.circuit(template, self.arguments, self.outside())
            self._expanded = scratch
        return self._expanded

    def outside(self) -> list[str]:
        return outside_names(self.body)

    @property
    def expansion(self) -> Expansion:
        return self.expanded().result

    def entry(self, path: Sequence[str]) -> Entry | None:
        from cortexspec.analysis.scope import members_of

        found = self.expansion.body.find(path[0])
        for name in path[1:]:
            if found is None or isinstance(found, Opaque):
                return found
            found = members_of(found).get(name)
        return found

    # Statements.

    def edit(self, statements: Iterable[written.Statement], variant: bool = False) -> None:
        for one in statements:
            match one:
                case written.Equation() if _is_dataset(one):
                    self.body = _overlaid(self.body, [one])
                case written.Equation():
                    self.assign(one.left, one.right, one.modifiers, one.span or one.left.span)
                case written.SetModifiers():
                    self.assign(one.target, None, one.modifiers, one.span or one.target.span)
                case written.Retype():
                    self.retype(one)
                case written.Remove():
                    for target in one.targets:
                        self.remove(target)
                case written.Section():
                    self.section(one)
                case written.Loop():
                    self.loop(one, variant)
                case _ if one.kind in OF_EXPERIMENT:
                    self.body = _overlaid(self.body, [one])
                case written.Update():
                    message = "`<-` belongs in a neuron; an edit is written `path = e`"
                    self.report.add("CS310", message, one.span, help=f"write `{one.name} = ...`")
                case _:
                    self.add(one)

    def add(self, statement: written.Statement) -> None:
        """Any statement of the circuit."""
        body = self.templates[self.merged.circuit].body
        if isinstance(statement, written.Start):
            kept = [one for one in body if _key(one) != _key(statement)]
            self.put(self.merged.circuit, (*kept, statement))
        else:
            self.put(self.merged.circuit, (*body, statement))

    def put(self, template: str, body: Sequence[written.Statement]) -> None:
        self.templates[template] = self.templates[template].model_copy(update={"body": tuple(body)})
        self._expanded = None

    def section(self, statement: written.Section) -> None:
        """Merged: what is written replaces, the rest stays."""
        for place, one in enumerate(self.body):
            if isinstance(one, written.Section) and one.kind == statement.kind:
                merged = _overlaid(one.body, statement.body)
                self.body[place] = one.model_copy(update={"body": tuple(merged)})
                return
        self.body.append(statement)

    def train_what_is_named(self) -> None:
        """`parameters = [core.b0]` in `train` makes these trainable, whatever the circuit says of them."""
        trainable = written.Modifier(kind="trainable")
        sections = [one for one in self.body if isinstance(one, written.Section) and one.kind == "train"]
        for setting in (one for section in sections for one in section.body):
            if isinstance(setting, written.Equation) and setting.left == tree.Name("parameters"):
                named = setting.right.items if isinstance(setting.right, tree.ListOf) else (setting.right,)
                for one in named:
                    self.assign(one, None, (trainable,), one.span)

    def loop(self, statement: written.Loop, variant: bool) -> None:
        """Edits are made once a round; other statements stay a loop of the circuit."""
        edits = [one for one in statement.body if one.kind in ("equation", "set_modifiers", "retype", "remove")]
        others = tuple(one for one in statement.body if one not in edits)
        if others:
            self.add(statement.model_copy(update={"body": others}))
        if edits:
            for names in self.bindings(statement.ranges):
                self.edit([_substituted(one, names) for one in edits], variant)

    def bindings(self, ranges: Sequence[written.RangeOf]) -> list[dict[str, tree.Expression]]:
        """What the names of a loop stand for in each round, as text."""
        rounds: list[dict[str, tree.Expression]] = [{}]
        for one in ranges:
            extended: list[dict[str, tree.Expression]] = []
            for known in rounds:
                for item in self.items(_replaced(one.values, known)):
                    parts = item.items if isinstance(item, tree.ListOf) and len(one.names) > 1 else (item,)
                    if len(parts) == len(one.names):
                        extended.append({**known, **dict(zip(one.names, parts, strict=True))})
            rounds = extended
        return rounds

    def items(self, node: tree.Expression) -> list[tree.Expression]:
        if isinstance(node, tree.ListOf):
            return list(node.items)
        scratch = Report()
        expander = self.expanded()
        before, expander.report = expander.report, scratch
        try:
            found = expander.items(node, self.expansion.body)
        finally:
            expander.report = before
        self.report.put(*scratch.diagnostics)
        return [_as_text(one, node.span) for one in found if not isinstance(one, list)]

    # Assignments.

    def assign(
        self,
        target: tree.Expression,
        value: tree.Expression | None,
        modifiers: tuple[written.Modifier, ...],
        span: Span | None,
    ) -> None:
        path = _path(target)
        if path is None:
            text = print_expression(target)
            self.report.add(
                "CS316", f"`{text}` is nothing that an edit can set", target.span or span, help="write `path = e`"
            )
            return
        if len(path) == 1 and self.assign_own(path[0], value, modifiers, span):
            return
        head = self.entry(path[:1])
        if head is None:
            self.missing(path, 1, target.span or span)
            return
        self.assign_inside(head, path, 1, value, modifiers, target, span)

    def missing(self, path: Sequence[str], known: int, span: Span | None) -> None:
        """An edit of something that is not there."""
        from cortexspec.analysis.scope import members_of

        name = path[known - 1] if known == len(path) or known == 1 else path[known]
        holder = self.entry(path[:known]) if known > 1 or len(path) > 1 else None
        if known == 1 and self.entry(path[:1]) is None:
            names = [n for n in self.expansion.body.names if "'" not in n]
            names += [_named(one) for one in self.body]
            names += [formal.name for formal in self.templates[self.merged.circuit].formals]
            message = f"`{self.merged.circuit}` has no `{path[0]}` to edit"
            self.report.add("CS316", message, span, help=suggestion(path[0], names))
            return
        inside: Mapping[str, Entry] = members_of(holder) if holder is not None else {}
        message = f"`{'.'.join(path[:known])}` has no `{name}` to edit"
        self.report.add("CS316", message, span, help=suggestion(name, [n for n in inside if "'" not in n]))

    def assign_own(
        self, name: str, value: tree.Expression | None, modifiers: tuple[written.Modifier, ...], span: Span | None
    ) -> bool:
        """A template argument, a declaration or penalty of the circuit, or something of the experiment."""
        template = self.templates[self.merged.circuit]
        if any(formal.name == name for formal in template.formals):
            self.arguments = _with_argument(self.arguments, name, value, modifiers, span)
            self._expanded = None
            return True
        for place, one in enumerate(template.body):
            if isinstance(one, written.Declare) and any(d.name == name for d in one.declarators):
                edited = _edited_declare(one, name, value, modifiers, span)
                self.put(template.name, (*template.body[:place], *edited, *template.body[place + 1 :]))
                return True
            if isinstance(one, written.Penalty) and one.name == name and value is not None:
                edited_penalty = one.model_copy(update={"value": value, "span": span or one.span})
                self.put(template.name, (*template.body[:place], edited_penalty, *template.body[place + 1 :]))
                return True
        return self.assign_in_experiment(name, value, span)

    def assign_in_experiment(self, name: str, value: tree.Expression | None, span: Span | None) -> bool:
        for place, one in enumerate(self.body):
            if value is None:
                continue
            if isinstance(one, (written.Measure, written.Penalty)) and one.name == name:
                self.body[place] = one.model_copy(update={"value": value, "span": span or one.span})
                return True
            if isinstance(one, written.Declare) and one.declarators[0].name == name:
                self.body[place] = _edited_declare(one, name, value, (), span)[0]
                return True
            if isinstance(one, written.Section) and one.kind == "train":
                for inner_place, inner in enumerate(one.body):
                    if isinstance(inner, written.Penalty) and inner.name == name:
                        changed = inner.model_copy(update={"value": value, "span": span or inner.span})
                        body = (*one.body[:inner_place], changed, *one.body[inner_place + 1 :])
                        self.body[place] = one.model_copy(update={"body": body})
                        return True
        return False

    def assign_inside(
        self,
        entry: Entry,
        path: Sequence[str],
        known: int,
        value: tree.Expression | None,
        modifiers: tuple[written.Modifier, ...],
        target: tree.Expression,
        span: Span | None,
    ) -> None:
        """The rest of a path after the thing that its first `known` names stand for."""
        rest = path[known:]
        match entry:
            case Opaque():
                pass  # of a plugin that is not installed: the edit is not judged either
            case GroupHere(members=members) if rest:
                for member in members:
                    if isinstance(member, (PopulationHere, CircuitHere)):
                        inner = [*member.path.split("."), *rest]
                        length = len(member.path.split("."))
                        self.assign_inside(
                            self.entry(inner[:length]) or member, inner, length, value, modifiers, target, span
                        )
            case ProjectionHere() if len(rest) == 1:
                self.set_connection(entry, rest[0], value, modifiers, target.span or span)
            case PopulationHere() if len(rest) == 1:
                if self.edit_attribute(path, value, span):
                    return
                self.give(entry.body, path, rest[0], value, modifiers, target.span or span)
            case FunctionHere() if len(rest) == 1:
                self.give(entry.body, path, rest[0], value, modifiers, target.span or span)
            case CircuitHere() if rest:
                takes = _takes(self.templates[entry.body.template])
                if len(rest) == 1 and rest[0] in takes:
                    self.give(entry.body, path, rest[0], value, modifiers, target.span or span)
                    return
                inner = self.entry(path[: known + 1])
                if inner is None:
                    self.missing(path, known, target.span or span)
                    return
                if len(rest) > 1:
                    self.assign_inside(inner, path, known + 1, value, modifiers, target, span)
                    return
                message = f"`{'.'.join(path)}` is {kind_of(inner)}, which is not set by an edit"
                self.report.add("CS316", message, target.span or span)
            case _:
                message = f"`{'.'.join(path)}` is {kind_of(entry)}, which is not set by an edit"
                self.report.add("CS316", message, target.span or span)

    def give(
        self,
        body: Body | None,
        path: Sequence[str],
        name: str,
        value: tree.Expression | None,
        modifiers: tuple[written.Modifier, ...],
        span: Span | None,
    ) -> None:
        """Another argument for the type of a population or part."""
        type_ = self.templates.get(body.template) if body is not None else None
        if type_ is not None and name not in _takes(type_):
            message = f"`{type_.name}` has no parameter `{name}` to edit"
            self.report.add("CS316", message, span, help=suggestion(name, _takes(type_)))
            return

        def changed(instance: written.Instance) -> written.Instance:
            use = instance.type
            assert use is not None
            arguments = list(use.arguments)
            formals = [formal.name for formal in type_.formals] if type_ is not None else []
            named = [
                one if one.name or place >= len(formals) else one.model_copy(update={"name": formals[place]})
                for place, one in enumerate(arguments)
            ]
            given = _with_argument(named, name, value, modifiers, span)
            return instance.model_copy(update={"type": use.model_copy(update={"arguments": tuple(given)})})

        self.change_instance(path[:-1], changed)

    def change_instance(
        self, path: Sequence[str], change: Callable[[written.Instance], written.Instance | None]
    ) -> None:
        """Rewrites (or with None deletes) the declaration of a population or part, in a text of its own."""
        template = self.own_template(path[:-1])
        made: list[written.Statement] = []
        for one in self.templates[template].body:
            if not isinstance(one, written.Instances) or not any(i.name == path[-1] for i in one.instances):
                made.append(one)
                continue
            for instance in _explicit(one):
                kept = change(instance) if instance.name == path[-1] else instance
                if kept is not None:
                    made.append(one.model_copy(update={"instances": (kept,), "span": instance.span or one.span}))
        self.put(template, made)

    def own_template(self, path: Sequence[str]) -> str:
        """The template of the part at `path`, copied so that editing it changes nothing else."""
        if not path:
            return self.merged.circuit
        part = self.entry(path)
        assert isinstance(part, CircuitHere)
        name = part.body.template
        own = f"{name.partition('_in_')[0]}_in_{'_'.join(path)}"
        if name == own:
            return own
        self.templates[own] = self.templates[name].model_copy(update={"name": own})

        def changed(instance: written.Instance) -> written.Instance:
            assert instance.type is not None
            return instance.model_copy(update={"type": instance.type.model_copy(update={"name": own})})

        self.change_instance(path, changed)
        return own

    def edit_attribute(self, path: Sequence[str], value: tree.Expression | None, span: Span | None) -> bool:
        template = self.templates[self.merged.circuit]
        for place, one in enumerate(template.body):
            if isinstance(one, written.Attribute) and value is not None:
                target = one.target.operand if isinstance(one.target, tree.Index) else one.target
                if _path(target) == list(path):
                    edited = one.model_copy(update={"value": value, "span": span or one.span})
                    self.put(template.name, (*template.body[:place], edited, *template.body[place + 1 :]))
                    return True
        return False

    # Connections.

    def set_connection(
        self,
        here: ProjectionHere,
        name: str,
        value: tree.Expression | None,
        modifiers: tuple[written.Modifier, ...],
        span: Span | None,
    ) -> None:
        if name not in SETTINGS:
            message = f"a connection has no setting `{name}` to edit"
            help = suggestion(name, SETTINGS) or f"it has {', '.join(SETTINGS)}"
            if here.synapse is not None and name in here.synapse.body.names:
                help = f"write `{here.path}.synapse = {here.synapse.type}({name} = ...)`"
            self.report.add("CS316", message, span, help=help)
            return

        def changed(connect: written.Connect) -> written.Connect:
            settings: list[written.Statement] = []
            old: tuple[written.Modifier, ...] = ()
            old_value: tree.Expression | None = None
            for one in connect.settings:
                if isinstance(one, (written.Equation, written.SetModifiers)) and _setting_name(one) == name:
                    old = one.modifiers
                    old_value = one.right if isinstance(one, written.Equation) else None
                else:
                    settings.append(one)
            kept = _merged_modifiers(old, modifiers, value is not None)
            new = value if value is not None else None if any(m.kind == "~" for m in modifiers) else old_value
            left = tree.Name(name, span=span)
            if new is not None:
                settings.append(written.Equation(left=left, right=new, modifiers=kept, span=span))
            elif kept:
                settings.append(written.SetModifiers(target=left, modifiers=kept, span=span))
            return connect.model_copy(update={"settings": tuple(settings)})

        self.change_connection(here, lambda connect: (changed(connect),))

    def change_connection(self, here: ProjectionHere, change: Callable[[written.Connect], Statements]) -> None:
        """Rewrites the statement of one connection. One round of a loop is taken out of its loop first."""
        expander = self.expanded()
        holder = here.body
        while holder.outer is not None and holder.outer.kind != "experiment":
            holder = holder.outer
        template = self.own_template(holder.path.split(".") if holder.path else ())
        rounds = _rounds_of(here.body)
        statements = self.templates[template].body
        self.put(template, self.changed_in(statements, holder, here.statement, rounds, change, expander))

    def changed_in(
        self,
        statements: Statements,
        body: Body,
        wanted: written.Connect,
        rounds: list[Body],
        change: Callable[[written.Connect], Statements],
        expander: Expander,
    ) -> list[written.Statement]:
        made: list[written.Statement] = []
        for one in statements:
            if one is wanted:
                made += change(wanted)
            elif isinstance(one, written.Loop) and rounds and _holds(one, wanted):
                made += self.unrolled(one, body, wanted, rounds, change, expander)
            else:
                made.append(one)
        return made

    def unrolled(
        self,
        loop: written.Loop,
        body: Body,
        wanted: written.Connect,
        rounds: list[Body],
        change: Callable[[written.Connect], Statements],
        expander: Expander,
    ) -> list[written.Statement]:
        """The loop as one loop a round, the wanted statement changed in its own round."""
        made: list[written.Statement] = []
        span = loop.span
        for inner in expander.rounds(loop.ranges, body):
            ranges = tuple(
                written.RangeOf(names=(name,), values=tree.ListOf((_as_text(entry, span, body.path),)), span=span)
                for name, entry in inner.names.items()
                if not isinstance(entry, Declared) or entry.kind != "let"
            )
            names = {name: _bound(entry) for name, entry in inner.names.items()}
            depth = len(loop.ranges)
            here = _merged_names(rounds[:depth])
            mine = all(here.get(name) == entry for name, entry in names.items() if name in here)
            statements: Sequence[written.Statement] = loop.body
            if mine:
                statements = self.changed_in(loop.body, inner, wanted, rounds[depth:] or rounds, change, expander)
            if any(one.kind != "let" for one in statements):
                made.append(loop.model_copy(update={"ranges": ranges, "body": tuple(statements)}))
        return made

    # Other edits.

    def retype(self, statement: written.Retype) -> None:
        found = self.entry([statement.name])
        span = statement.span
        if found is None:
            self.missing([statement.name], 1, span)
            return
        if not isinstance(found, (PopulationHere, CircuitHere, FunctionHere, Opaque)):
            self.report.add("CS316", f"`{statement.name}` is {kind_of(found)}, which has no type", span)
            return

        def changed(instance: written.Instance) -> written.Instance:
            return instance.model_copy(update={"type": statement.type})

        self.change_instance([statement.name], changed)

    def remove(self, target: tree.Expression) -> None:
        if isinstance(target, tree.Index):
            self.cut(target)
            return
        path = _path(target)
        if path is None:
            self.report.add("CS316", f"`{print_expression(target)}` is nothing that can be removed", target.span)
            return
        if len(path) == 1 and self.remove_from_experiment(path[0]):
            return
        found = self.entry(path)
        match found:
            case None:
                self.missing(path, max(1, len(path) - 1), target.span)
            case Opaque():
                pass  # of a plugin that is not installed: the edit is not judged either
            case PopulationHere():
                self.removes_populations = True
                if not self.keep_populations:
                    self.remove_population(found, path, target.span)
            case ProjectionHere():
                self.change_connection(found, lambda connect: ())
                self.removed[found.path] = target.span
            case GroupHere() | PenaltyHere() | Declared() | FunctionHere() | CircuitHere() if len(path) == 1:
                self.remove_named(path[0])
                self.removed[path[0]] = target.span
            case _:
                self.report.add(
                    "CS316", f"`{'.'.join(path)}` is {kind_of(found)}, which cannot be removed", target.span
                )

    def remove_from_experiment(self, name: str) -> bool:
        for place, one in enumerate(self.body):
            if isinstance(one, (written.Measure, written.Penalty)) and one.name == name:
                del self.body[place]
                return True
            if isinstance(one, written.Section) and one.kind == "train":
                kept = tuple(
                    inner for inner in one.body if not (isinstance(inner, written.Penalty) and inner.name == name)
                )
                if len(kept) != len(one.body):
                    self.body[place] = one.model_copy(update={"body": kept})
                    return True
        return False

    def remove_named(self, name: str) -> None:
        template = self.templates[self.merged.circuit]
        made: list[written.Statement] = []
        for one in template.body:
            if isinstance(one, written.Declare):
                kept = tuple(d for d in one.declarators if d.name != name)
                made += [one.model_copy(update={"declarators": kept})] if kept else []
            elif isinstance(one, written.Instances):
                kept_instances = tuple(i for i in _explicit(one) if i.name != name)
                made += [one.model_copy(update={"instances": kept_instances})] if kept_instances else []
            elif not (isinstance(one, (written.Group, written.Penalty)) and one.name == name):
                made.append(one)
        self.put(template.name, made)

    def remove_population(self, population: PopulationHere, path: Sequence[str], span: Span | None) -> None:
        """Its connections and its place in groups go with it; so do its attributes."""
        expansion = self.expansion
        gone = [one.path for one in expansion.projections if _touches(one, population)]
        for path_of_connection in gone:
            here = next((one for one in self.expansion.projections if one.path == path_of_connection), None)
            if here is not None and not self.ends_at_group(here, population):
                self.change_connection(here, lambda connect: ())
                self.removed.setdefault(path_of_connection, span)
        for _ in [one for one in expansion.unjudged if _touches(one, population)]:
            now = self.entry(path)
            assert isinstance(now, PopulationHere)
            here = next((one for one in self.expansion.unjudged if _touches(one, now)), None)
            if here is not None:
                self.change_connection(here, lambda connect: ())
        groups = (*self.expansion.groups, *self.expansion.unjudged_groups)
        for group in [one for one in groups if population.path in map(path_of, one.members)]:
            self.leave_group(group, population)
        self.change_instance(path, lambda instance: None)
        template = self.own_template(path[:-1])
        name = path[-1]
        kept = [
            one
            for one in self.templates[template].body
            if not (isinstance(one, written.Attribute) and _starts_with(one.target, name))
        ]
        self.put(template, kept)
        self.removed[population.path] = span

    def ends_at_group(self, here: ProjectionHere, population: PopulationHere) -> bool:
        """A connection of a whole group only loses the members that go."""
        from cortexspec.analysis.scope import GroupVariable

        sides = [here.source, here.target]
        return all(isinstance(side, (GroupVariable, GroupHere)) or side.body.path != population.path for side in sides)

    def leave_group(self, group: GroupHere, population: PopulationHere) -> None:
        template = self.own_template(group.body.path.split(".") if group.body.path else ())
        name = group.path.rpartition(".")[2]
        inside = population.path.removeprefix(f"{group.body.path}.") if group.body.path else population.path
        made: list[written.Statement] = []
        for one in self.templates[template].body:
            if isinstance(one, written.Group) and one.name == name and isinstance(one.members, tree.ListOf):
                items = tuple(item for item in one.members.items if ".".join(_path(item) or []) != inside)
                made.append(one.model_copy(update={"members": replace(one.members, items=items)}))
            else:
                made.append(one)
        self.put(template, made)

    def cut(self, target: tree.Index) -> None:
        """`remove around[periphery, core]`: the block [target, source] of a projection."""
        path = _path(target.operand)
        found = self.entry(path) if path is not None else None
        if isinstance(found, Opaque):
            return
        if not isinstance(found, ProjectionHere):
            what = print_expression(target.operand)
            message = f"there is no connection `{what}`"
            if found is not None:
                message = f"`{what}` is {kind_of(found)}; a block is cut out of a connection"
            self.report.add("CS316", message, target.operand.span or target.span)
            return
        sides: list[str] = []
        for argument in target.arguments:
            inner = _path(argument.value) if argument.value is not None and not argument.name else None
            member = self.entry(inner) if inner is not None else None
            if not isinstance(member, (PopulationHere, GroupHere)):
                text = print_expression(argument.value) if argument.value is not None else ""
                self.report.add("CS316", f"`{text}` is no population", argument.span or target.span)
                return
            sides.append(member.path)
        if len(sides) != 2:
            self.report.add("CS316", "a block is written [target, source]", target.span)
            return
        self.cuts[found.path] = (*self.cuts.get(found.path, ()), (sides[0], sides[1]))


def outside_names(body: Iterable[written.Statement]) -> list[str]:
    """The names that an experiment's own statements declare: an edit of its circuit may read them."""
    return [one.declarators[0].name for one in body if isinstance(one, written.Declare) and one.kind == "let"]


# Text.


def _is_dataset(one: written.Equation) -> bool:
    return isinstance(one.left, tree.Name) and one.left.name == "dataset"


def _path(node: tree.Expression) -> list[str] | None:
    match node:
        case tree.Name(name):
            return [name]
        case tree.Member(owner, name) if name != "*":
            inner = _path(owner)
            return [*inner, name] if inner is not None else None
        case _:
            return None


def _starts_with(target: tree.Expression, name: str) -> bool:
    inner = target.operand if isinstance(target, tree.Index) else target
    path = _path(inner)
    return path is not None and path[0] == name


def _named(one: written.Statement) -> str:
    name = getattr(one, "name", "")
    return name if isinstance(name, str) else ""


def _takes(template: Template) -> list[str]:
    """What a use of the template may be given by name."""
    names = [formal.name for formal in template.formals]
    for one in template.body:
        if isinstance(one, written.Declare) and one.kind == "param":
            names += [declarator.name for declarator in one.declarators]
    return names


def _setting_name(one: written.Equation | written.SetModifiers) -> str:
    target = one.left if isinstance(one, written.Equation) else one.target
    return target.name if isinstance(target, tree.Name) else ""


def _merged_modifiers(
    old: tuple[written.Modifier, ...], new: tuple[written.Modifier, ...], value: bool = False
) -> tuple[written.Modifier, ...]:
    """New modifiers replace those of their kind; a new value replaces a distribution; the rest stays."""
    kinds = {one.kind for one in new} | ({"~"} if value else set[str]())
    return (*(one for one in old if one.kind not in kinds), *new)


def _with_argument(
    arguments: Sequence[written.Argument],
    name: str,
    value: tree.Expression | None,
    modifiers: tuple[written.Modifier, ...],
    span: Span | None,
) -> list[written.Argument]:
    made: list[written.Argument] = []
    found = False
    for one in arguments:
        if one.name != name:
            made.append(one)
            continue
        found = True
        kept = _merged_modifiers(one.modifiers, modifiers, value is not None)
        drawn = any(m.kind == "~" for m in modifiers)
        made.append(
            one.model_copy(
                update={"value": value if value is not None or drawn else one.value, "modifiers": kept, "span": span}
            )
        )
    if not found:
        made.append(written.Argument(name=name, value=value, modifiers=modifiers, span=span))
    return made


def _edited_declare(
    one: written.Declare,
    name: str,
    value: tree.Expression | None,
    modifiers: tuple[written.Modifier, ...],
    span: Span | None,
) -> list[written.Declare]:
    """The statement with another value for one of its names; new modifiers are that name's alone."""
    made: list[written.Declare] = []
    for declarator in one.declarators:
        alone = one.model_copy(update={"declarators": (declarator,), "span": declarator.span or one.span})
        if declarator.name == name:
            kept = _merged_modifiers(one.modifiers, modifiers, value is not None)
            drawn = any(m.kind == "~" for m in modifiers)
            new = value if value is not None else None if drawn else declarator.value
            changed = declarator.model_copy(update={"value": new, "span": declarator.span or span})
            alone = alone.model_copy(update={"declarators": (changed,), "modifiers": kept})
        made.append(alone)
    return made


def _explicit(one: written.Instances) -> list[written.Instance]:
    """Each instance with the type that a later name of the statement carries for it."""
    types = [instance.type for instance in one.instances]
    for place in reversed(range(len(types) - 1)):
        types[place] = types[place] or types[place + 1]
    return [i.model_copy(update={"type": t}) for i, t in zip(one.instances, types, strict=True)]


def _touches(here: ProjectionHere, population: PopulationHere) -> bool:
    from cortexspec.analysis.scope import GroupVariable

    def touches(side: Any) -> bool:
        if isinstance(side, GroupVariable):
            return any(member.body is population.body for member in side.members)
        if isinstance(side, GroupHere):
            return any(isinstance(member, Declared) and member.body is population.body for member in side.members)
        return side.body is population.body

    return touches(here.source) or touches(here.target)


def _rounds_of(body: Body) -> list[Body]:
    """The loop rounds around a connection, outermost first (its settings' own body left out)."""
    chain: list[Body] = []
    current: Body | None = body
    while current is not None:
        if current.outer is not None and current.outer.kind != "experiment" and current.projection is None:
            chain.insert(0, current)
        current = current.outer
    return chain


def _holds(loop: written.Loop, wanted: written.Connect) -> bool:
    return any(one is wanted or (isinstance(one, written.Loop) and _holds(one, wanted)) for one in loop.body)


def _merged_names(rounds: Sequence[Body]) -> dict[str, object]:
    names: dict[str, object] = {}
    for one in rounds:
        names.update({name: _bound(entry) for name, entry in one.names.items()})
    return names


def _bound(entry: Entry) -> object:
    return entry.value if isinstance(entry, Static) else id(entry)


def _as_text(entry: Entry, span: Span | None, inside: str = "") -> tree.Expression:
    """An entry as an author would write it inside the circuit at a path."""
    if isinstance(entry, Static):
        from cortexspec.analysis.resolve_names import literal

        return literal(entry, span)
    path = path_of(entry)
    first, *rest = (path.removeprefix(f"{inside}.") if inside else path).split(".")
    node: tree.Expression = tree.Name(first, span=span)
    for name in rest:
        node = tree.Member(node, name, span=span)
    return node


def _substituted(statement: written.Statement, names: Mapping[str, tree.Expression]) -> written.Statement:
    """The statement with the loop's names replaced."""
    changes: dict[str, Any] = {}
    for name in type(statement).model_fields:
        value = getattr(statement, name)
        if isinstance(value, tree.Node):
            changes[name] = _replaced(value, names)  # pyright: ignore[reportArgumentType]
        elif isinstance(statement, written.Remove) and name == "targets":
            changes[name] = tuple(_replaced(one, names) for one in statement.targets)
    return statement.model_copy(update=changes)


def _replaced(node: tree.Expression, names: Mapping[str, tree.Expression]) -> tree.Expression:
    match node:
        case tree.Name(name) if name in names:
            return names[name]
        case tree.Member(owner=owner):
            return replace(node, owner=_replaced(owner, names))
        case tree.Derivative(operand=operand) | tree.Unary(operand=operand):
            return replace(node, operand=_replaced(operand, names))
        case tree.Binary(left=left, right=right):
            return replace(node, left=_replaced(left, names), right=_replaced(right, names))
        case tree.ListOf(items=items):
            return replace(node, items=tuple(_replaced(item, names) for item in items))
        case tree.Index(operand=operand, arguments=arguments):
            return replace(node, operand=_replaced(operand, names), arguments=_replaced_all(arguments, names))
        case tree.Call(function=function, arguments=arguments):
            return replace(node, function=_replaced(function, names), arguments=_replaced_all(arguments, names))
        case _:
            return node


def _replaced_all(
    arguments: tuple[tree.Argument, ...], names: Mapping[str, tree.Expression]
) -> tuple[tree.Argument, ...]:
    return tuple(replace(one, value=_replaced(one.value, names)) if one.value is not None else one for one in arguments)


__all__ = ["Cell", "Editor", "Merged", "Note", "cell_of", "fold_own_edits", "merge_like", "variant_chain"]
