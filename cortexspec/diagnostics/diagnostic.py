"""One mistake: its code, its place, what was expected, what was found, how to mend it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cortexspec.diagnostics.span import Span

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Note:
    """A second place that explains the first."""

    text: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A record that serves the terminal, the exception, the notebook and the editor alike.

    `message` says what is wrong in one sentence; `label` stands under the underlined place
    ("expected ms, found mV"); `help` is the repair where there is one.
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    help: str = ""
    notes: tuple[Note, ...] = ()
    severity: Severity = "error"


class SpecError(Exception):
    """Every mistake found in one go. Only `runtime` raises it at the user; inside, rules yield diagnostics."""

    def __init__(self, diagnostics: Iterable[Diagnostic], sources: dict[str, str] | None = None):
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        self.sources: dict[str, str] = sources or {}
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        from cortexspec.diagnostics.render_text import render_text

        return render_text(self.diagnostics, self.sources)
