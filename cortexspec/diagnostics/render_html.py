"""Diagnostics as a notebook or a report shows them: the same layout, in one self-contained piece of HTML."""

from collections.abc import Iterable, Mapping
from html import escape

from cortexspec.diagnostics.diagnostic import Diagnostic
from cortexspec.diagnostics.layout import Line, Segment, lay_out

# Colours that read on a light and on a dark page; written into each element because a notebook keeps no style sheet.
_STYLES = {
    "plain": "",
    "error": "color:#d1383d;font-weight:bold",
    "warning": "color:#b7791f;font-weight:bold",
    "message": "font-weight:bold",
    "gutter": "opacity:.6",
    "place": "color:#0e8a9b",
    "mark": "color:#d1383d;font-weight:bold",
    "note": "color:#3b76d6",
    "help": "color:#2f8f4e;font-weight:bold",
}


def render_html(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str]) -> str:
    """One `<pre>` a diagnostic inside a `<div class="cortexspec-diagnostics">`; everything from outside is escaped."""
    blocks = ("<pre>" + "\n".join(_html(line) for line in block) + "</pre>" for block in lay_out(diagnostics, sources))
    return '<div class="cortexspec-diagnostics">' + "".join(blocks) + "</div>"


def _html(line: Line) -> str:
    return "".join(_segment(segment) for segment in line)


def _segment(segment: Segment) -> str:
    text = escape(segment.text)
    style = _STYLES[segment.style]
    return f'<span class="{segment.style}" style="{style}">{text}</span>' if style else text
