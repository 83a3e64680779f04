"""Diagnostics as data, for editors and for `--json`."""

from collections.abc import Iterable
from typing import Any

from cortexspec.diagnostics.codes import CODES
from cortexspec.diagnostics.diagnostic import Diagnostic, Note
from cortexspec.diagnostics.layout import in_reading_order
from cortexspec.diagnostics.span import Span


def render_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """A list of plain objects, ready for `json.dumps`: every field always there, `span` null where there is no place.

    Lines and columns count from 1, columns in code points, as in `Span`.
    """
    return [_diagnostic(diagnostic) for diagnostic in in_reading_order(diagnostics)]


def _diagnostic(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "code": diagnostic.code,
        "slug": CODES[diagnostic.code].slug if diagnostic.code in CODES else "",
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "span": _span(diagnostic.span),
        "label": diagnostic.label,
        "help": diagnostic.help,
        "notes": [_note(note) for note in diagnostic.notes],
    }


def _note(note: Note) -> dict[str, Any]:
    return {"text": note.text, "span": _span(note.span)}


def _span(span: Span | None) -> dict[str, Any] | None:
    if span is None:
        return None
    return {
        "source": span.source,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }
