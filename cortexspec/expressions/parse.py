"""Text to expression tree, for the expressions in Python, YAML and JSON. A .cortex file is `language`'s."""

from functools import cache
from pathlib import Path

from lark import Lark

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.expressions import tree
from cortexspec.expressions.build import ExpressionBuilder, ParseNode, Place
from cortexspec.expressions.grammar import open_grammar
from cortexspec.expressions.reader import Reader
from cortexspec.expressions.slips import expression_slip
from cortexspec.expressions.syntax_errors import Mistake, explain

# Longer than any formula; reading stays well below a second.
LONGEST = 100_000


@cache
def _parser() -> Lark:
    return open_grammar(Path(__file__).with_name("expression.lark"), "expr")


def parse_expression(text: str, source: str = "<expression>", line: int = 1, column: int = 1) -> tree.Expression:
    """The tree of one expression; `line` and `column` say where the text begins in its source.

    Raises: SpecError with every mistake found (CS1xx).
    """
    place = Place(source, line, column)
    if len(text) > LONGEST:
        raise SpecError(
            [Diagnostic("CS108", f"an expression of {len(text)} characters is too long (at most {LONGEST})")]
        )
    try:
        node = _parse(text)
    except Mistake as mistake:
        raise SpecError([explain(mistake, text, place, expression_slip)], {source: text}) from None
    builder = ExpressionBuilder(place)
    expression = builder.expression(node)
    if builder.diagnostics:
        raise SpecError(builder.diagnostics, {source: text})
    return expression


def _parse(text: str) -> ParseNode:
    reader = Reader(_parser(), text)
    for token in reader.tokens():
        reader.feed(token)
    return reader.finish()
