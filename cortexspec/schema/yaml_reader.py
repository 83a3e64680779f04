"""A YAML text as a located value. Tags run nothing, aliases cannot multiply, and every value keeps its line."""

from dataclasses import dataclass
from typing import Any

from cortexspec.diagnostics import Diagnostic, Span
from cortexspec.schema.located import DEEPEST, Entry, Located, Mapping, NotReadable, Scalar, Sequence

# Far beyond any spec; aliases of aliases reach it at once.
MOST_VALUES = 100_000

_CORE = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(_CORE + kind for kind in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp"))


def read_yaml(text: str, source: str) -> Located:
    """The located value of a YAML text.

    Raises: NotReadable where the text is not YAML, uses tags of its own, or grows without end.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        node: Any = YAML(typ="safe", pure=True).compose(text)  # pyright: ignore[reportUnknownMemberType]
    except RecursionError:
        raise _too_large(f"values are nested more than {DEEPEST} deep", Span(source, 1, 1, 1, 2)) from None
    except (YAMLError, ValueError, OverflowError) as error:
        raise NotReadable(_diagnostic(error, source)) from None
    if node is None:
        raise NotReadable(Diagnostic("CS202", "the file is empty", Span(source, 1, 1, 1, 2)))
    return _Walk(source).value(node, 0)


def _diagnostic(error: Exception, source: str) -> Diagnostic:
    mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    return Diagnostic("CS202", f"this is not YAML: {problem}", Span(source, line, column, line, column + 1))


def _too_large(message: str, span: Span) -> NotReadable:
    return NotReadable(Diagnostic("CS108", message, span))


@dataclass(slots=True)
class _Walk:
    source: str
    values: int = 0

    def value(self, node: Any, depth: int) -> Located:
        span = self._span(node)
        self.values += 1
        if self.values > MOST_VALUES:
            raise _too_large(f"the file has more than {MOST_VALUES} values, aliases counted each time", span)
        if depth > DEEPEST:
            raise _too_large(f"values are nested more than {DEEPEST} deep", span)
        tag = str(node.tag)
        if tag not in _PLAIN_TAGS:
            message = f"the tag `{tag.removeprefix(_CORE)}` means nothing in a spec"
            raise NotReadable(
                Diagnostic("CS202", message, span, "", "remove the tag, or quote a text that begins with `!`")
            )
        match node.id:
            case "mapping":
                return Mapping(tuple(self._entry(key, value, depth) for key, value in node.value), self._first(span))
            case "sequence":
                return Sequence(tuple(self.value(item, depth + 1) for item in node.value), self._first(span))
            case _:
                return Scalar(str(node.value), span, self._inside(node, span), is_null=tag == _CORE + "null")

    def _entry(self, key: Any, value: Any, depth: int) -> Entry:
        if key.id != "scalar":
            raise NotReadable(Diagnostic("CS202", "a field name is a word", self._span(key)))
        return Entry(str(key.value), self._span(key), self.value(value, depth + 1))

    def _span(self, node: Any) -> Span:
        start, end = node.start_mark, node.end_mark
        return Span(self.source, start.line + 1, start.column + 1, end.line + 1, end.column + 1)

    def _first(self, span: Span) -> Span:
        """The first character of a block, which is enough to underline."""
        return Span(span.source, span.line, span.column, span.line, span.column + 1)

    def _inside(self, node: Any, span: Span) -> Span:
        if node.style in ("'", '"'):
            return Span(span.source, span.line, span.column + 1, span.end_line, max(1, span.end_column - 1))
        if node.style in ("|", ">"):
            return Span(span.source, span.line + 1, 1, span.end_line, span.end_column)
        return span
