"""Values of a JSON or YAML file with the place of each, and a JSON reader that keeps places."""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from cortexspec.diagnostics import Diagnostic, Span

# Deeper than any spec; loops in loops in variants in experiments stay far below.
DEEPEST = 100


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, number, true, false or null. `text` is what was written, `inside` where the content begins."""

    text: str
    span: Span
    inside: Span
    is_null: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple["Located", ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Entry:
    key: str
    key_span: Span
    value: "Located"


@dataclass(frozen=True, slots=True)
class Mapping:
    entries: tuple[Entry, ...]
    span: Span

    def get(self, key: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.key == key), None)


Located: TypeAlias = Scalar | Sequence | Mapping


class NotReadable(Exception):
    """A file that is not JSON or not YAML, or too large to be a spec."""

    def __init__(self, diagnostic: Diagnostic):
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


_BLANKS = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_LITERAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")


def read_json(text: str, source: str) -> Located:
    """The located value of a JSON text.

    Raises: NotReadable where the text is not JSON.
    """
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    reader = _JsonReader(text, source, starts)
    value = reader.value(0)
    reader.skip_blanks()
    if reader.place < len(text):
        raise reader.stop("the file goes on after its value")
    return value


@dataclass(slots=True)
class _JsonReader:
    text: str
    source: str
    starts: list[int]  # of the lines
    place: int = 0

    def skip_blanks(self) -> None:
        match = _BLANKS.match(self.text, self.place)
        assert match is not None
        self.place = match.end()

    def span(self, start: int, end: int) -> Span:
        """The stretch between two places of one line."""
        line, column = self._position(start)
        return Span(self.source, line, column, line, column + (end - start))

    def _position(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def stop(self, message: str, help: str = "") -> NotReadable:
        return NotReadable(Diagnostic("CS202", message, self.span(self.place, self.place + 1), "", help))

    def value(self, depth: int) -> Located:
        self.skip_blanks()
        if depth > DEEPEST:
            at = self.span(self.place, self.place + 1)
            raise NotReadable(Diagnostic("CS108", f"values are nested more than {DEEPEST} deep", at))
        match self.text[self.place : self.place + 1]:
            case "{":
                return self._mapping(depth)
            case "[":
                return self._sequence(depth)
            case '"':
                return self._string()
            case _:
                return self._literal()

    def _literal(self) -> Scalar:
        match = _LITERAL.match(self.text, self.place)
        if match is None:
            raise self.stop("a value is missing here", 'a value is "text", a number, true, false, null, [ ] or { }')
        span = self.span(match.start(), match.end())
        self.place = match.end()
        return Scalar(match.group(), span, span, is_null=match.group() == "null")

    def _string(self) -> Scalar:
        match = _STRING.match(self.text, self.place)
        if match is None:
            raise self.stop("this text is never closed, or has a character that JSON wants escaped")
        span = self.span(match.start(), match.end())
        self.place = match.end()
        inside = Span(span.source, span.line, span.column + 1, span.end_line, max(span.column + 1, span.end_column - 1))
        return Scalar(json.loads(match.group()), span, inside)

    def _mapping(self, depth: int) -> Mapping:
        start = self.place
        entries: list[Entry] = []
        for _ in self._parts("{", "}"):
            self.skip_blanks()
            if self.text[self.place : self.place + 1] != '"':
                raise self.stop("a field name in double quotes is missing here")
            key = self._string()
            self.skip_blanks()
            if self.text[self.place : self.place + 1] != ":":
                raise self.stop("a `:` is missing here")
            self.place += 1
            entries.append(Entry(key.text, key.span, self.value(depth + 1)))
        return Mapping(tuple(entries), self._opening(start))

    def _sequence(self, depth: int) -> Sequence:
        start = self.place
        items = tuple(self.value(depth + 1) for _ in self._parts("[", "]"))
        return Sequence(items, self._opening(start))

    def _opening(self, start: int) -> Span:
        return self.span(start, start + 1)

    def _parts(self, opening: str, closing: str) -> Iterator[None]:
        """Stand before each part between two brackets in turn."""
        assert self.text[self.place] == opening
        self.place += 1
        self.skip_blanks()
        if self.text[self.place : self.place + 1] == closing:
            self.place += 1
            return
        while True:
            yield
            self.skip_blanks()
            mark = self.text[self.place : self.place + 1]
            if mark not in (",", closing) or not mark:
                raise self.stop(f"a `,` or `{closing}` is missing here")
            self.place += 1
            if mark == closing:
                return
