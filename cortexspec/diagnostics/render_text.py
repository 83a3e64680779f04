"""Diagnostics as a terminal shows them; coloured only where a terminal looks at them."""

from collections.abc import Iterable, Mapping
from typing import TextIO

from cortexspec.diagnostics.diagnostic import Diagnostic
from cortexspec.diagnostics.layout import Line, lay_out

_COLOURS = {
    "plain": "",
    "error": "bold red",
    "warning": "bold yellow",
    "message": "bold",
    "gutter": "bright_black",
    "place": "cyan",
    "mark": "bold red",
    "note": "blue",
    "help": "bold green",
}


def render_text(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str]) -> str:
    """Plain text: a block a diagnostic, a blank line between, no line break at the end."""
    return "\n\n".join("\n".join(_plain(line) for line in block) for block in lay_out(diagnostics, sources))


def print_diagnostics(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str], stream: TextIO) -> None:
    """Write them to the stream. `NO_COLOR` and `FORCE_COLOR` are heeded, as everywhere."""
    from rich.console import Console
    from rich.text import Text

    # soft_wrap: a terminal that is too narrow breaks a line itself; breaking it here would part mark and place.
    console = Console(file=stream, highlight=False, soft_wrap=True)
    for number, block in enumerate(lay_out(diagnostics, sources)):
        if number:
            console.print()
        for line in block:
            console.print(Text.assemble(*((segment.text, _COLOURS[segment.style]) for segment in line)))


def count(diagnostics: Iterable[Diagnostic]) -> str:
    """`3 errors, 1 warning`; `no mistakes` for none."""
    severities = [diagnostic.severity for diagnostic in dict.fromkeys(diagnostics)]
    counts = [(severities.count("error"), "error"), (severities.count("warning"), "warning")]
    said = [f"{number} {noun}{'s' if number > 1 else ''}" for number, noun in counts if number]
    return ", ".join(said) or "no mistakes"


def _plain(line: Line) -> str:
    return "".join(segment.text for segment in line)
