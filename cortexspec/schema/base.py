"""What all schema nodes share: frozen, closed, equal by what they say, each with the place it was written at."""

import math
import re
from typing import Annotated, Any, LiteralString

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from cortexspec.diagnostics import Span, SpecError
from cortexspec.expressions import tree
from cortexspec.expressions.names import name_problem
from cortexspec.expressions.parse import parse_expression
from cortexspec.expressions.print import print_expression
from cortexspec.units import UnitError, parse_unit

# The unit of what arrives at a synapse.
ARRIVING = "arriving"


class SchemaNode(BaseModel):
    """A frozen pydantic model. `span` is where it was written; it takes no part in equality, JSON or hashing."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    span: SkipJsonSchema[Span | None] = Field(default=None, exclude=True, repr=False)

    def _said(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in type(self).model_fields if name != "span")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._said() == other._said()

    def __hash__(self) -> int:
        return hash((type(self), self._said()))


class LocatedText(str):
    """A text that knows where it stands in its file; expressions made of it have places in that file."""

    span: Span

    def __new__(cls, text: str, span: Span) -> "LocatedText":
        located = super().__new__(cls, text)
        located.span = span
        return located


def _expression(value: Any) -> tree.Expression:
    if getattr(value, "ndim", None) == 0:  # a number of NumPy, or of an engine
        value = value.item()
    match value:
        case bool():
            return tree.Name("true" if value else "false")
        case int() | float() if math.isfinite(value):
            return parse_expression(repr(value))
        case LocatedText():
            return _parse(str(value), value.span.source, value.span.line, value.span.column)
        case str():
            return _parse(value)
        case tree.Node():
            return value  # pyright: ignore[reportReturnType]
        case _:
            raise PydanticCustomError("expression", "an expression is text of the language, or a number")


def _parse(text: str, source: str = "<expression>", line: int = 1, column: int = 1) -> tree.Expression:
    try:
        return parse_expression(text, source, line, column)
    except SpecError as error:
        # A field's own error, so that pydantic goes on and reports all fields; loaders take the diagnostics out again.
        message = "; ".join(_sentence(one.message, one.help) for one in error.diagnostics)
        raise _problem("expression", message, diagnostics=error.diagnostics) from None


def _problem(kind: LiteralString, message: str, **context: Any) -> PydanticCustomError:
    return PydanticCustomError(kind, "{message}", {"message": message, **context})


def _sentence(message: str, help: str) -> str:
    return f"{message} ({help})" if help else message


# A pydantic field that holds an expression: give it text ("50 Hz", "2*κ*v'"), a number, or a tree.
Expression = Annotated[
    tree.Expression,
    PlainValidator(_expression),
    PlainSerializer(print_expression, return_type=str),
    WithJsonSchema({"type": ["string", "number", "boolean"], "description": "an expression of the language"}),
]


def _name(value: str) -> str:
    if problem := name_problem(value):
        raise _problem("name", problem)
    return value


def _optional_name(value: str) -> str:
    return _name(value) if value else value


def _state_name(value: str) -> str:
    _optional_name(value.rstrip("'"))
    return value


def _unit(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z%]+(\^-?[0-9]+)?([*/][A-Za-z%]+(\^-?[0-9]+)?)*", value):
        raise PydanticCustomError("unit", "a unit is symbols joined by `*` and `/`, as in `mV/ms`")
    try:
        parse_unit(value or "1")
    except UnitError as error:
        raise _problem("unit", _sentence(str(error), error.help)) from None
    return value


def _declared_unit(value: str) -> str:
    return value if value == ARRIVING else _unit(value)


def _formal_type(value: str) -> str:
    if not value:
        raise PydanticCustomError("unit", "an argument has a type: int, real, bool, text or a unit")
    return value if value in ("int", "real", "bool", "text") else _unit(value)


def _text(value: str) -> str:
    if re.search(r'["\n\r\ud800-\udfff]', value):
        raise PydanticCustomError("text", "a text stands on one line and has no double quotes in it")
    return value


def _doc(value: str) -> str:
    if '"""' in value or value.endswith('"') or re.search(r"[\r\ud800-\udfff]", value):
        raise PydanticCustomError("text", 'a doc string has no `"""` in it and does not end in `"`')
    return value


# A name as the language allows it; with "" where none need be; with primes (`v'`) for the start of a derivative.
Identifier = Annotated[str, AfterValidator(_name)]
OptionalIdentifier = Annotated[str, AfterValidator(_optional_name)]
StateName = Annotated[str, AfterValidator(_state_name)]
# The type of a template argument: int, real, bool, text or a unit.
FormalType = Annotated[str, AfterValidator(_formal_type)]
# A unit as written ("mV/ms"), or "".
UnitText = Annotated[str, AfterValidator(_unit)]
# The unit of a declaration: in a synapse also `arriving`, whatever the unit of its input is.
DeclaredUnit = Annotated[str, AfterValidator(_declared_unit)]
# What stands between double quotes, and between triple ones.
PlainText = Annotated[str, AfterValidator(_text)]
DocText = Annotated[str, AfterValidator(_doc)]
