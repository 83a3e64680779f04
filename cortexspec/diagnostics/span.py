"""Where something stands: a stretch of one source text."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Lines and columns count from 1, columns in code points; the end is the place after the last character."""

    source: str
    line: int
    column: int
    end_line: int
    end_column: int

    def to(self, other: "Span | None") -> "Span":
        """The stretch from the start of this span to the end of the other."""
        if other is None:
            return self
        return Span(self.source, self.line, self.column, other.end_line, other.end_column)

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}"
