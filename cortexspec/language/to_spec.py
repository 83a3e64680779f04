"""Syntax tree to Spec: every statement a schema model with its span. Comments stay on the tree."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, cast

from lark import Token

from cortexspec.diagnostics import Diagnostic
from cortexspec.expressions import tree
from cortexspec.expressions.build import ExpressionBuilder, ParseNode, ParseTree, Place, rule_of
from cortexspec.expressions.print import print_equation_side
from cortexspec.language.tree import SyntaxTree
from cortexspec.schema.base import ARRIVING
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
from cortexspec.schema.words import declared, opening_word
from cortexspec.units import UnitError, parse_unit

_FORMAL_TYPES = ("int", "real", "bool", "text")


def build_spec(syntax: SyntaxTree) -> tuple[Spec, tuple[Diagnostic, ...]]:
    """The Spec that a syntax tree says; where words, numbers or units are wrong, what is wrong, and `_` in their place."""
    builder = _Builder(Place(syntax.source))
    spec = builder.spec(syntax.root)
    return spec, tuple(builder.expressions.diagnostics)


def _trees(node: ParseTree, *kinds: str) -> list[ParseTree]:
    return [child for child in node.children if not isinstance(child, Token) and (not kinds or rule_of(child) in kinds)]


def _tree(node: ParseTree, kind: str) -> ParseTree | None:
    found = _trees(node, kind)
    return found[0] if found else None


def _tokens(node: ParseTree, kind: str) -> list[Token]:
    return [child for child in node.children if isinstance(child, Token) and child.type == kind]


def _after(node: ParseTree, mark: str) -> ParseNode | None:
    """The child behind the token of this kind."""
    for token, child in pairwise(node.children):
        if isinstance(token, Token) and token.type == mark:
            return child
    return None


class _Builder:
    def __init__(self, place: Place):
        self.place = place
        self.expressions = ExpressionBuilder(place)
        self._build: dict[str, Callable[[ParseTree], Statement]] = {
            "declare": self._declare,
            "instances": self._instances,
            "group": self._group,
            "attribute": self._attribute,
            "equation": self._equation,
            "set_modifiers": self._set_modifiers,
            "retype": self._retype,
            "update": self._update,
            "spike": self._spike,
            "spike_drawn": self._spike_drawn,
            "on": self._on,
            "send": self._send,
            "noise": self._noise,
            "connect": self._connect,
            "start_state": self._start,
            "remove": self._remove,
            "penalty": self._penalty,
            "measure": self._measure,
            "stimulus": self._stimulus,
            "section": self._section,
            "variant": self._variant,
            "claim": self._claim,
            "loop": self._loop,
        }

    # Items

    def spec(self, root: ParseTree) -> Spec:
        items = _trees(root, "item")
        doc, docs = self._file_doc(root, items)
        built = tuple(self._item(item, text) for item, text in zip(items, docs, strict=True))
        return Spec(doc=doc, items=built, span=self.place.of(root) if items else None)

    def _file_doc(self, root: ParseTree, items: list[ParseTree]) -> tuple[str, list[str]]:
        """The doc string of the file and those of the items.

        The first doc string is the file's when a blank line or another doc string follows it; else the item's.
        """
        stacks = [_tokens(item, "DOC") for item in items]
        closing = [token for child in _trees(root, "closing_doc") for token in _tokens(child, "DOC")]
        stacks.append(closing)
        file_doc: list[Token] = []
        if stacks[0] and (len(stacks[0]) > 1 or not items or self._blank_line_after(stacks[0][0], items[0])):
            file_doc, stacks[0] = stacks[0][:1], stacks[0][1:]
        for extra in [token for stack in stacks[:-1] for token in stack[:-1]] + stacks[-1]:
            self.expressions.report(
                "CS101", extra, "a doc string stands before one item", "", "write a comment: `# ...`"
            )
        return _doc(file_doc), [_doc(stack[-1:]) for stack in stacks[:-1]]

    def _blank_line_after(self, doc: Token, item: ParseTree) -> bool:
        return (_trees(item)[0].meta.line or 0) > (doc.end_line or 0) + 1

    def _item(self, node: ParseTree, doc: str) -> Item:
        body = _trees(node)[-1]
        span = self.place.of(body)
        match rule_of(body):
            case "use":
                names = tuple(self._name(token) for token in _tokens(body, "NAME"))
                file = _tokens(body, "STRING")
                if file and len(file[0]) == 2:
                    self.expressions.report("CS101", file[0], "the name of the file is empty")
                    return Use(names=("_",), doc=doc, span=span)
                return Use(names=names, file=str(file[0])[1:-1] if file else "", doc=doc, span=span)
            case "template":
                return Template(
                    kind=self._word(body, "kind"),
                    name=self._name(_tokens(body, "NAME")[0]),
                    formals=self._formals(body),
                    body=self._block(body),
                    doc=doc,
                    span=span,
                )
            case _:
                return self._experiment(body, doc)

    def _experiment(self, node: ParseTree, doc: str) -> Experiment:
        of, like = _tree(node, "of_circuit"), _tree(node, "like")
        return Experiment(
            name=self._name(_tokens(node, "NAME")[0]),
            of=self._name(_tokens(of, "NAME")[0]) if of else "",
            arguments=self._arguments(of) if of else (),
            like=self._name(_tokens(like, "NAME")[0]) if like else "",
            body=self._block(node),
            doc=doc,
            span=self.place.of(node),
        )

    def _formals(self, node: ParseTree) -> tuple[Formal, ...]:
        formals = _tree(node, "formals")
        return tuple(self._formal(formal) for formal in _trees(formals, "formal")) if formals else ()

    def _formal(self, node: ParseTree) -> Formal:
        unit = _trees(node, "unit", "unit_name")[0]
        default = _after(node, "EQUAL")
        word = str(unit.children[0])
        return Formal(
            name=self._name(_tokens(node, "NAME")[0]),
            type=word if word in _FORMAL_TYPES else self._unit(unit) or "int",
            default=self._expression(default) if default is not None else None,
            span=self.place.of(node),
        )

    # What statements share

    def _word(self, node: ParseTree, rule: str) -> Any:
        """The word that a rule like `kind` or `declaring` stands for."""
        return str(_trees(node, rule)[0].children[0])

    def _name(self, token: Token) -> str:
        return self.expressions.name(token)

    def _expression(self, node: ParseNode) -> tree.Expression:
        return self.expressions.expression(node)

    def _left(self, node: ParseNode) -> tree.Expression:
        """What stands first in a statement. Parentheses around a statement word do not make it a name there."""
        expression = self._expression(node)
        if word := opening_word(expression):
            message = f"`{word}` begins a statement and cannot begin an equation"
            self.expressions.report("CS106", node, message, "", "choose another name")
            return tree.Name("_", span=expression.span)
        return expression

    def _unit(self, node: ParseTree | None) -> str:
        """The text of a unit annotation; a word that is no unit is reported."""
        if node is None:
            return ""
        text = "".join(str(token) for token in node.children)
        try:
            parse_unit(text)
        except UnitError as error:
            self.expressions.report_unit(node, error)
            return ""
        return text

    def _declared_unit(self, node: ParseTree | None) -> str:
        """As `_unit`, or the word `arriving`."""
        return ARRIVING if node is not None and node.children == [ARRIVING] else self._unit(node)

    def _modifiers(self, node: ParseTree) -> tuple[Modifier, ...]:
        built = self.expressions.modifiers(
            cast(list[ParseNode], _trees(node, "trainable", "constraint", "drawn", "clock", "extent"))
        )
        return tuple(_modifier(modifier) for modifier in built)

    def _arguments(self, node: ParseTree) -> tuple[Argument, ...]:
        arguments = _tree(node, "arguments")
        return tuple(_argument(one) for one in self.expressions.arguments(arguments.children)) if arguments else ()

    def _type_use(self, node: ParseTree) -> TypeUse:
        name = self._name(_tokens(node, "NAME")[0])
        return TypeUse(name=name, arguments=self._arguments(node), span=self.place.of(node))

    def _ranges(self, node: ParseTree) -> tuple[RangeOf, ...]:
        over = _tree(node, "over")
        return tuple(_range(one) for one in self.expressions.ranges(over)) if over else ()

    def _block(self, node: ParseTree) -> tuple[Statement, ...]:
        block = _tree(node, "block")
        return tuple(self._build[rule_of(child)](child) for child in _trees(block)) if block else ()

    def _named_value(self, node: ParseTree) -> dict[str, Any]:
        """The fields of `WORD NAME = e`."""
        return {
            "name": self._name(_tokens(node, "NAME")[0]),
            "value": self._expression(node.children[-1]),
            "span": self.place.of(node),
        }

    def _targeted_value(self, node: ParseTree) -> dict[str, Any]:
        """The fields of `WORD path = e`."""
        return {
            "target": self._expression(node.children[1]),
            "value": self._expression(node.children[-1]),
            "span": self.place.of(node),
        }

    def _part(self, node: ParseTree, kind: str) -> tree.Expression | None:
        """The expression of an optional clause like `refractory e`."""
        clause = _tree(node, kind)
        return self._expression(clause.children[1]) if clause else None

    # Statements

    def _declare(self, node: ParseTree) -> Declare:
        kind = self._word(node, "declaring")
        declarators = tuple(self._declarator(one, kind) for one in _trees(node, "declarator"))
        return Declare(kind=kind, declarators=declarators, modifiers=self._modifiers(node), span=self.place.of(node))

    def _declarator(self, node: ParseTree, kind: str) -> Declarator:
        target = self._expression(node.children[0])
        unit = next(iter(_trees(node, "unit", "unit_name")), None)
        given = _after(node, "EQUAL")
        value = self._expression(given) if given is not None else None
        span = self.place.of(node)
        found = declared(target)
        if found is not None:
            name, axes = found
            return Declarator(name=name, axes=axes, unit=self._declared_unit(unit), value=value, span=span)
        if kind != "output" or value is not None:
            message = f"`{print_equation_side(target)}` is not a name that `{kind}` can declare"
            self.expressions.report("CS101", node.children[0], message, "expected a name", f"write `{kind} NAME = ...`")
            return Declarator(name="_", span=span)
        return Declarator(unit=self._declared_unit(unit), value=target, span=span)

    def _instances(self, node: ParseTree) -> Instances:
        instances = tuple(self._instance(one) for one in _trees(node, "instance"))
        return Instances(kind=self._word(node, "instancing"), instances=instances, span=self.place.of(node))

    def _instance(self, node: ParseTree) -> Instance:
        axes, type_use = _tree(node, "axes"), _tree(node, "type_use")
        return Instance(
            name=self._name(_tokens(node, "NAME")[0]),
            axes=tuple(self._expression(one) for one in _expressions_in(axes)) if axes else (),
            type=self._type_use(type_use) if type_use else None,
            span=self.place.of(node),
        )

    def _group(self, node: ParseTree) -> Group:
        fields = self._named_value(node)
        return Group(name=fields["name"], members=fields["value"], span=fields["span"])

    def _attribute(self, node: ParseTree) -> Attribute:
        unit = next(iter(_trees(node, "unit", "unit_name")), None)
        return Attribute(unit=self._unit(unit), **self._targeted_value(node))

    def _equation(self, node: ParseTree) -> Equation:
        right = _after(node, "EQUAL")
        assert right is not None
        return Equation(
            left=self._left(node.children[0]),
            right=self._expression(right),
            modifiers=self._modifiers(node),
            span=self.place.of(node),
        )

    def _set_modifiers(self, node: ParseTree) -> SetModifiers:
        target = self._left(node.children[0])
        return SetModifiers(target=target, modifiers=self._modifiers(node), span=self.place.of(node))

    def _retype(self, node: ParseTree) -> Retype:
        name = self._name(_tokens(node, "NAME")[0])
        return Retype(name=name, type=self._type_use(_trees(node, "type_use")[0]), span=self.place.of(node))

    def _update(self, node: ParseTree) -> Update:
        value = _after(node, "UPDATE")
        assert value is not None
        return Update(
            name=self._name(_tokens(node, "NAME")[0]),
            value=self._expression(value),
            modifiers=self._modifiers(node),
            span=self.place.of(node),
        )

    def _spike(self, node: ParseTree) -> Spike:
        return Spike(
            condition=self._expression(node.children[2]),
            crosses=self._part(node, "crosses"),
            body=self._block(node),
            refractory=self._part(node, "refractory"),
            surrogate=self._part(node, "surrogate"),
            span=self.place.of(node),
        )

    def _spike_drawn(self, node: ParseTree) -> Spike:
        return Spike(distribution=self._expression(node.children[2]), span=self.place.of(node))

    def _on(self, node: ParseTree) -> On:
        return On(event=self._name(_tokens(node, "NAME")[0]), body=self._block(node), span=self.place.of(node))

    def _send(self, node: ParseTree) -> Send:
        return Send(value=self._expression(node.children[1]), span=self.place.of(node))

    def _noise(self, node: ParseTree) -> Noise:
        return Noise(names=tuple(self._name(one) for one in _tokens(node, "NAME")), span=self.place.of(node))

    def _connect(self, node: ParseTree) -> Connect:
        arrow = next(i for i, child in enumerate(node.children) if isinstance(child, Token) and child.type == "ARROW")
        named = _tokens(node, "COLON")
        return Connect(
            name=self._name(cast(Token, node.children[1])) if named else "",
            source=self._expression(node.children[arrow - 1]),
            target=self._expression(node.children[arrow + 1]),
            settings=self._block(node),
            span=self.place.of(node),
        )

    def _start(self, node: ParseTree) -> Start:
        return Start(**self._targeted_value(node))

    def _remove(self, node: ParseTree) -> Remove:
        targets = tuple(self._expression(one) for one in node.children[1::2])
        return Remove(targets=targets, span=self.place.of(node))

    def _penalty(self, node: ParseTree) -> Penalty:
        return Penalty(**self._named_value(node))

    def _measure(self, node: ParseTree) -> Measure:
        return Measure(**self._named_value(node))

    def _stimulus(self, node: ParseTree) -> Stimulus:
        return Stimulus(**self._targeted_value(node))

    def _section(self, node: ParseTree) -> Section:
        return Section(kind=self._word(node, "sectioning"), body=self._block(node), span=self.place.of(node))

    def _variant(self, node: ParseTree) -> Variant:
        names = [self._name(token) for token in _tokens(node, "NAME")]
        of = names[1] if len(names) > 1 else ""
        return Variant(name=names[0], of=of, body=self._block(node), span=self.place.of(node))

    def _claim(self, node: ParseTree) -> Claim:
        text, source = node.children[1], node.children[3]
        value = _after(node, "COLON")
        within, contradicts = _tree(node, "within"), _tree(node, "contradicts")
        of = _tree(within, "of_value") if within else None
        assert value is not None
        return Claim(
            text=str(text)[1:-1],
            source=str(source)[1:-1],
            value=self._expression(value),
            published=self._part(node, "published"),
            within=self._part(node, "within"),
            of=self._expression(of.children[1]) if of else None,
            contradicts=str(contradicts.children[1])[1:-1] if contradicts else "",
            ranges=self._ranges(node),
            span=self.place.of(node),
        )

    def _loop(self, node: ParseTree) -> Loop:
        return Loop(ranges=self._ranges(node), body=self._block(node), span=self.place.of(node))


def _doc(tokens: list[Token]) -> str:
    return str(tokens[0])[3:-3] if tokens else ""


def _expressions_in(axes: ParseTree) -> Iterable[ParseNode]:
    marks = ("LSQB", "RSQB", "COMMA")
    return [child for child in axes.children if not (isinstance(child, Token) and child.type in marks)]


def _modifier(modifier: tree.Modifier) -> Modifier:
    return Modifier(kind=modifier.kind, value=modifier.value, extent=modifier.extent, span=modifier.span)


def _argument(argument: tree.Argument) -> Argument:
    modifiers = tuple(_modifier(modifier) for modifier in argument.modifiers)
    return Argument(name=argument.name, value=argument.value, modifiers=modifiers, span=argument.span)


def _range(one: tree.Range) -> RangeOf:
    return RangeOf(names=one.names, values=one.values, span=one.span)
