"""From lark's parse tree to the expression tree: spans, composed names, units checked, mistakes collected."""

import math
from dataclasses import dataclass, field
from typing import cast

from lark import Token
from lark import Tree as LarkTree

from cortexspec.diagnostics import Diagnostic, Span
from cortexspec.expressions import tree
from cortexspec.expressions.names import RESERVED, name_problem, normalize_name, plain_power, raised_characters
from cortexspec.units import UnitError, parse_unit

ParseTree = LarkTree[Token]
ParseNode = ParseTree | Token

# Deeper than any formula; keeps every recursive walk of a tree far from Python's limit.
DEEPEST = 100

_MODIFIERS = {"trainable": "trainable", "constraint": "in", "drawn": "~", "clock": "every", "extent": "per"}
_EXTENT_DIGITS = 60


@dataclass(slots=True)
class Place:
    """Where a text stands in its source: an expression inside a YAML file begins at `line`, `column` of that file."""

    source: str
    line: int = 1
    column: int = 1

    def span(self, line: int, column: int, end_line: int, end_column: int) -> Span:
        """Places within the text, as places of the source."""
        return Span(
            self.source,
            line + self.line - 1,
            column + (self.column - 1 if line == 1 else 0),
            end_line + self.line - 1,
            end_column + (self.column - 1 if end_line == 1 else 0),
        )

    def of(self, node: ParseNode) -> Span:
        """The stretch of a token or of a subtree."""
        first, last = (node, node) if isinstance(node, Token) else (node.meta, node.meta)
        return self.span(first.line or 1, first.column or 1, last.end_line or 1, last.end_column or 1)


@dataclass(slots=True)
class ExpressionBuilder:
    """Builds expressions and collects what is wrong with their words, numbers and units."""

    place: Place
    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def report(self, code: str, node: ParseNode, message: str, label: str = "", help: str = "") -> None:
        self.diagnostics.append(Diagnostic(code, message, self.place.of(node), label, help))

    def expression(self, node: ParseNode) -> tree.Expression:
        """A whole expression. One that is nested beyond reason is reported and stands as the name `_`."""
        return tree.Name("_", span=self.place.of(node)) if self._report_deep([node]) else self._expression(node)

    def arguments(self, parts: list[ParseNode]) -> tuple[tree.Argument, ...]:
        """The arguments of a type or a circuit, marks skipped; none where one is nested beyond reason."""
        return () if self._report_deep(parts) else self._arguments(parts)

    def modifiers(self, parts: list[ParseNode]) -> tuple[tree.Modifier, ...]:
        """The modifiers of a statement; `trainable` in their place where one is nested beyond reason."""
        return (tree.Modifier("trainable"),) if self._report_deep(parts) else self._modifiers(parts)

    def ranges(self, over: ParseTree) -> tuple[tree.Range, ...]:
        """The ranges of a `for`; `_ in _` in their place where one is nested beyond reason."""
        return (tree.Range(("_",), tree.Name("_")),) if self._report_deep([over]) else self._ranges(over)

    def _report_deep(self, nodes: list[ParseNode]) -> bool:
        """Every way in asks this first, since all below recurses."""
        deep = [node for node in nodes if too_deep(node)]
        for node in deep:
            message = f"this expression is nested more than {DEEPEST} deep"
            self.report("CS108", node, message, "", "name its parts with `let`")
        return bool(deep)

    def path(self, token: Token) -> str:
        """The dotted name that words mean."""
        return ".".join(self.name(Token.new_borrow_pos("NAME", word, token)) for word in token.split("."))

    def name(self, token: Token) -> str:
        """The name a word means. Reserved words and raised characters are reported."""
        word = str(token)
        if raised_characters(word):
            help = f"write `{plain_power(word)}`"
            self.report(
                "CS103", token, f"`{word}` has a raised or lowered character, which names cannot have", "", help
            )
            return "_"
        name = normalize_name(word)
        if name in RESERVED:
            self.report("CS106", token, f"`{name}` is a reserved word and cannot be a name", "", "choose another name")
            return "_"
        if problem := name_problem(name):
            self.report("CS110", token, problem)
            return "_"
        return name

    def report_unit(self, node: ParseNode, error: UnitError) -> None:
        """A word that stands where a unit should."""
        self.report("CS104", node, str(error), "", error.help or UNIT_HELP)

    def _expression(self, node: ParseNode) -> tree.Expression:
        span = self.place.of(node)
        if isinstance(node, Token):
            return self._token(node, span)
        parts = node.children
        match rule_of(node):
            case "binary":
                operator = cast(tree.BinaryOperator, str(parts[1]))
                return tree.Binary(operator, self._expression(parts[0]), self._expression(parts[2]), span=span)
            case "unary":
                return tree.Unary(cast(tree.UnaryOperator, str(parts[0])), self._expression(parts[1]), span=span)
            case "member":
                return tree.Member(self._expression(parts[0]), self.name(cast(Token, parts[2])), span=span)
            case "every_member":
                return tree.Member(self._expression(parts[0]), "*", span=span)
            case "derivative":
                return self._derivative(node, span)
            case "index":
                return tree.Index(self._expression(parts[0]), self._arguments(parts[1:]), span=span)
            case "call":
                return tree.Call(self._expression(parts[0]), self._arguments(subtree(parts[1]).children), span=span)
            case "parenthesis":
                return self._expression(parts[1])
            case "list":
                return self._list(node, span)
            case "comprehension":
                return tree.Comprehension(self._expression(parts[1]), self._ranges(subtree(parts[2])), span=span)
            case _:
                raise AssertionError(f"no expression: {rule_of(node)}")

    def _token(self, token: Token, span: Span) -> tree.Expression:
        match token.type:
            case "NAME":
                return tree.Name(self.name(token), span=span)
            case "NUMBER":
                return tree.Number(self._digits(token, str(token)), span=span)
            case "QUANTITY":
                digits, unit = split_quantity(str(token))
                return tree.Number(self._digits(token, digits), self._unit(token, unit), span=span)
            case "STRING":
                return tree.Text(str(token)[1:-1], span=span)
            case _:
                raise AssertionError(f"no expression: {token.type}")

    def _digits(self, token: Token, digits: str) -> str:
        if len(digits) > _EXTENT_DIGITS or not math.isfinite(float(digits)):
            self.report("CS109", token, "this number does not fit a 64-bit float")
            return "0"
        return digits

    def _unit(self, token: Token, unit: str) -> str:
        try:
            parse_unit(unit)
        except UnitError as error:
            self.report_unit(token, error)
            return ""
        return unit

    def _derivative(self, node: ParseTree, span: Span) -> tree.Expression:
        operand = self._expression(node.children[0])
        order = len(cast(Token, node.children[1]))
        if isinstance(operand, tree.Derivative):
            return tree.Derivative(operand.operand, operand.order + order, span=span)
        return tree.Derivative(operand, order, span=span)

    def _list(self, node: ParseTree, span: Span) -> tree.Expression:
        items = tuple(self._expression(part) for part in node.children if not _is_mark(part))
        last = node.children[-1]
        unit = self._unit(last, str(last)) if isinstance(last, Token) and last.type == "UNIT" else ""
        return tree.ListOf(items, unit, span=span)

    def _arguments(self, parts: list[ParseNode]) -> tuple[tree.Argument, ...]:
        return tuple(self._argument(part) for part in parts if isinstance(part, LarkTree))

    def _argument(self, node: ParseTree) -> tree.Argument:
        span = self.place.of(node)
        parts = node.children
        match rule_of(node):
            case "named_argument":
                modifiers = self._modifiers(parts[3:])
                return tree.Argument(self._expression(parts[2]), self.path(cast(Token, parts[0])), modifiers, span=span)
            case "bare_argument":
                return tree.Argument(None, self.name(cast(Token, parts[0])), self._modifiers(parts[1:]), span=span)
            case _:
                return tree.Argument(self._expression(parts[0]), span=span)

    def _modifiers(self, parts: list[ParseNode]) -> tuple[tree.Modifier, ...]:
        return tuple(self._modifier(subtree(part)) for part in parts)

    def _modifier(self, node: ParseTree) -> tree.Modifier:
        kind = _MODIFIERS[rule_of(node)]
        span = self.place.of(node)
        match kind:
            case "trainable":
                return tree.Modifier("trainable", span=span)
            case "per":
                return tree.Modifier("per", extent=self.name(cast(Token, node.children[1])), span=span)
            case _:
                value = self._expression(node.children[1])
                return tree.Modifier(cast(tree.ModifierKind, kind), value, span=span)

    def _ranges(self, over: ParseTree) -> tuple[tree.Range, ...]:
        return tuple(self._range(part) for part in over.children if isinstance(part, LarkTree))

    def _range(self, node: ParseTree) -> tree.Range:
        names = tuple(self.name(p) for p in node.children if isinstance(p, Token) and p.type == "NAME")
        values = node.children[-1]
        if isinstance(values, Token) and values.type == "NAME":  # `n in xs`: the last name is the values
            names = names[:-1]
        return tree.Range(names, self._expression(values), span=self.place.of(node))


UNIT_HELP = "units are m s V A S F Ohm Hz M with a prefix (f p n u m k M G), cm, and rad deg bit %"


def rule_of(node: ParseTree) -> str:
    """The grammar rule or alias of a tree; lark puts the name of the file before aliases of an imported grammar."""
    return str(node.data).removeprefix("expression__")


def subtree(node: ParseNode) -> ParseTree:
    """A child that the grammar says is a tree."""
    assert not isinstance(node, Token)
    return node


def _is_mark(node: ParseNode) -> bool:
    return isinstance(node, Token) and node.type in ("LSQB", "RSQB", "COMMA", "UNIT")


def split_quantity(text: str) -> tuple[str, str]:
    """The digits and the unit of a literal: `5e-3 mV/ms` is ("5e-3", "mV/ms"), `20ms` is ("20", "ms")."""
    end = 0
    while end < len(text) and (text[end] in "0123456789." or (text[end] in "eE" and _is_exponent(text, end))):
        end += 1
        if text[end - 1] in "eE" and text[end] in "+-":
            end += 1
    return text[:end], text[end:].strip()


def _is_exponent(text: str, place: int) -> bool:
    rest = text[place + 1 :].lstrip("+-")
    return rest[:1].isdigit()


def too_deep(node: ParseNode) -> bool:
    """Whether a parse tree is nested deeper than a walk may recurse. It does not recurse itself."""
    level: list[ParseNode] = [node]
    for _ in range(DEEPEST):
        level = [child for parent in level if isinstance(parent, LarkTree) for child in parent.children]
        if not level:
            return False
    return True
