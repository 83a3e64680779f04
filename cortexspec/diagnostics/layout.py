"""Diagnostics as styled lines: the one layout that the terminal and the notebook draw.

A line is a tuple of segments, each a text with the name of its style, so that what is coloured and what is not is
decided here and how is decided by the renderer.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from cortexspec.diagnostics.codes import CODES
from cortexspec.diagnostics.diagnostic import Diagnostic
from cortexspec.diagnostics.span import Span

Style = Literal["plain", "error", "warning", "message", "gutter", "place", "mark", "note", "help"]

TAB = 4
# Past this many columns a source line is cut around the marked place: a line of a machine-made file can be a megabyte.
WIDEST = 160


@dataclass(frozen=True, slots=True)
class Segment:
    text: str
    style: Style = "plain"


Line = tuple[Segment, ...]


def lay_out(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str]) -> list[list[Line]]:
    """One block of lines a diagnostic, in reading order of the files; what has no place comes last."""
    return [_block(diagnostic, sources) for diagnostic in in_reading_order(diagnostics)]


def in_reading_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """By place within a file; files in the order in which they first occur; exact repeats said once."""
    unique = list(dict.fromkeys(diagnostics))
    files: dict[str, int] = {}
    for diagnostic in unique:
        if diagnostic.span is not None:
            files.setdefault(diagnostic.span.source, len(files))

    def key(diagnostic: Diagnostic) -> tuple[int, int, int]:
        span = diagnostic.span
        return (files[span.source], span.line, span.column) if span else (len(files), 0, 0)

    return sorted(unique, key=key)


def _block(diagnostic: Diagnostic, sources: Mapping[str, str]) -> list[Line]:
    spans = [diagnostic.span, *(note.span for note in diagnostic.notes)]
    width = max((len(str(span.line)) for span in spans if span), default=1)
    severity = diagnostic.severity
    slug = CODES[diagnostic.code].slug if diagnostic.code in CODES else ""
    heading = Segment(f"{severity}[{f'{diagnostic.code} {slug}'.strip()}]", severity)
    lines: list[Line] = [(heading, Segment(": " + printable(diagnostic.message), "message"))]
    if diagnostic.span:
        lines += _excerpt(diagnostic.span, diagnostic.label, "^", severity, width, sources)
    elif diagnostic.label:
        lines.append((Segment(" " * width + " = ", "gutter"), Segment(printable(diagnostic.label), severity)))
    for note in diagnostic.notes:
        if note.span:
            lines += _excerpt(note.span, note.text, "-", "note", width, sources)
        else:
            lines.append((Segment("note: ", "note"), Segment(printable(note.text))))
    lines.append(_last_line(diagnostic))
    return lines


def _last_line(diagnostic: Diagnostic) -> Line:
    more = Segment(f"more: cortexspec explain {diagnostic.code}", "gutter")
    if not diagnostic.help:
        return (more,)
    return (Segment("help: ", "help"), Segment(printable(diagnostic.help)), Segment(" " * 9), more)


def _excerpt(span: Span, label: str, mark: str, style: Style, width: int, sources: Mapping[str, str]) -> list[Line]:
    lines: list[Line] = [(Segment("  --> ", "gutter"), Segment(printable(str(span)), "place"))]
    source = _source_line(sources.get(span.source), span.line)
    if source is None:
        if label:
            lines.append((Segment(" " * width + " = ", "gutter"), Segment(printable(label), style)))
        return lines
    before, marked, after = _cut(source, span)
    underline = " " * _columns(before) + mark * max(1, _columns(marked))
    words = printable(label)
    if span.end_line > span.line:
        words = f"{words} (to line {span.end_line})".strip()
    shown = (before + marked + after).rstrip()
    lines.append((Segment(f"{span.line:>{width}} |" + " " * bool(shown), "gutter"), Segment(shown)))
    lines.append((Segment(" " * width + " | ", "gutter"), Segment(f"{underline} {words}".rstrip(), style)))
    return lines


def _source_line(text: str | None, number: int) -> str | None:
    """The line, or None where the text is not at hand. A place just past the last line shows an empty one."""
    if text is None:
        return None
    lines = text.split("\n")
    return lines[number - 1].removesuffix("\r") if 1 <= number <= len(lines) else ""


def _cut(source: str, span: Span) -> tuple[str, str, str]:
    """The line's text before, inside and after the span, printable and no wider than WIDEST."""
    start = min(span.column - 1, len(source))
    stop = len(source) if span.end_line > span.line else min(max(span.end_column - 1, start), len(source))
    before, marked, after = source[:start], source[start:stop], source[stop:]
    if len(source) > WIDEST:
        before = before if len(before) <= WIDEST // 4 else "…" + before[-(WIDEST // 4) :]
        marked = marked if len(marked) <= WIDEST // 2 else marked[: WIDEST // 2] + "…"
        after = after if len(after) <= WIDEST // 4 else after[: WIDEST // 4] + "…"
    before = _expand_tabs(before, 0)
    marked = _expand_tabs(marked, len(before))
    return printable(before), printable(marked), printable(_expand_tabs(after, len(before) + len(marked)))


def _expand_tabs(text: str, column: int) -> str:
    return (" " * column + text).expandtabs(TAB)[column:] if "\t" in text else text


def printable(text: str) -> str:
    """The text with every control character shown as `�`, so that a stranger's file cannot steer the terminal."""
    return "".join("�" if unicodedata.category(letter) in _UNSEEN else letter for letter in text)


# Control characters, bidirectional and other format characters, lone surrogates, and the two separators that some
# terminals take for a line break.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def _columns(text: str) -> int:
    """How many terminal columns the text takes: none for a combining mark, two for a wide letter."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )
