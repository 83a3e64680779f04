"""What is known not to hold, and why. A gap that starts to hold is a failure too: its entry has to go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

Kind = Literal["not yet", "blocked upstream", "never"]


@dataclass(frozen=True, slots=True)
class Gap:
    """Rows that miss their bound for a known reason. Patterns are those of file names; `*` stands for any."""

    kind: Kind
    reason: str
    case: str = "*"
    setting: str = "*"
    quantity: str = "*"
    backend: str = "*"

    def covers(self, backend: str, case: str, setting: str, quantity: str) -> bool:
        pairs = ((self.backend, backend), (self.case, case), (self.setting, setting), (self.quantity, quantity))
        return all(fnmatchcase(text, pattern) for pattern, text in pairs)


GAPS: tuple[Gap, ...] = (Gap("not yet", "delays and `every`", "jansen_rit *"),)


def known_gap(backend: str, case: str, setting: str, quantity: str, gaps: Sequence[Gap] = GAPS) -> Gap | None:
    """The first gap that covers a row."""
    return next((gap for gap in gaps if gap.covers(backend, case, setting, quantity)), None)
