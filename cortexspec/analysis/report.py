"""Collects the mistakes of one run, each once, and knows how to say "did you mean"."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches

from cortexspec.diagnostics import Diagnostic, Note, Span


class Report:
    """Diagnostics in the order in which they were found; the same mistake at the same place counts once."""

    def __init__(self) -> None:
        self._found: dict[tuple[object, ...], Diagnostic] = {}

    def add(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        *,
        label: str = "",
        help: str = "",
        notes: Iterable[Note] = (),
    ) -> None:
        self.put(Diagnostic(code, message, span, label, help, tuple(notes)))

    def warn(self, code: str, message: str, span: Span | None = None, *, label: str = "", help: str = "") -> None:
        self.put(Diagnostic(code, message, span, label, help, severity="warning"))

    def put(self, *diagnostics: Diagnostic) -> None:
        for diagnostic in diagnostics:
            place = diagnostic.span if diagnostic.span is not None else diagnostic.message
            self._found.setdefault((diagnostic.code, place), diagnostic)

    def advise(self, code: str, span: Span | None, help: str) -> None:
        """Adds a repair to a mistake that has none, where one was found at this place."""
        known = self._found.get((code, span))
        if known is not None and not known.help:
            self._found[code, span] = replace(known, help=help)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return tuple(self._found.values())

    @property
    def failed(self) -> bool:
        return self.errors > 0

    @property
    def errors(self) -> int:
        return sum(diagnostic.severity == "error" for diagnostic in self._found.values())

    def __len__(self) -> int:
        return len(self._found)


def suggestion(name: str, known: Iterable[str]) -> str:
    """A help sentence that names the nearest known name, or ""."""
    candidates = sorted({other for other in known if other and other != name})
    near = get_close_matches(name, candidates, 1, 0.6)
    if not near:
        folded = {_folded(other): other for other in candidates}
        found = get_close_matches(_folded(name), folded, 1, 0.75)
        near = [folded[one] for one in found]
    return f"did you mean `{near[0]}`?" if near else ""


def _folded(name: str) -> str:
    """Small letters without `_`, Greek ones spelled: `τ_m` and `Tau_m` are `taum`."""
    letters = (unicodedata.name(c, "").partition("GREEK SMALL LETTER ")[2].lower() or c for c in name.casefold())
    return "".join(letters).replace("_", "")
