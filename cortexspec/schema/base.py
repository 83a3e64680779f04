"""What all schema nodes share: frozen, closed, equal by what they say, each with the place it was written at."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from cortexspec.diagnostics import Span
from cortexspec.expressions import tree
from cortexspec.expressions.parse import parse_expression
from cortexspec.expressions.print import print_expression


class SchemaNode(BaseModel):
    """A frozen pydantic model. `span` is where it was written; it takes no part in equality, JSON or hashing."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    span: Span | None = Field(default=None, exclude=True, repr=False)

    def _said(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in type(self).model_fields if name != "span")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._said() == other._said()  # pyright: ignore[reportPrivateUsage]

    def __hash__(self) -> int:
        return hash((type(self), self._said()))


def _expression(value: Any) -> tree.Expression:
    if isinstance(value, str):
        return parse_expression(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    return parse_expression(repr(value))


# A pydantic field that holds an expression: give it text ("50 Hz", "2*κ*v'"), a number, or a tree.
Expression = Annotated[
    tree.Expression,
    BeforeValidator(_expression),
    PlainSerializer(print_expression, return_type=str),
    WithJsonSchema({"type": "string", "description": "an expression of the language"}),
]
