"""A table of claims as people read it: rows of text, and the same as Markdown with every measured mean beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cortexspec.experiments.claim import BASE, CellKey, Point, Row
from cortexspec.experiments.reproduce import Failure, Table
from cortexspec.experiments.shown_units import after_number
from cortexspec.experiments.statistics import Spread

CLAIM_HEADINGS = ("claim", "where", "paper", "ours", "verdict", "reason")


@dataclass(frozen=True, slots=True)
class Measured:
    """What an experiment measured: a row a variant and point of `vary`, which the first `labels` columns name, and a column a measure."""

    headings: tuple[str, ...]
    labels: int
    rows: tuple[tuple[str, ...], ...]

    def parts(self, width: int, between: int = 3) -> list[Measured]:
        """The same in tables of at most `width` characters, each with the labels in front, at least one measure each."""
        widths = [
            max(len(row[place]) for row in (self.headings, *self.rows)) + between for place in range(self.columns)
        ]
        front = sum(widths[: self.labels])
        groups: list[list[int]] = []
        room = 0
        for place in range(self.labels, self.columns):
            if not groups or widths[place] > room:
                groups.append([])
                room = width - front - 1
            groups[-1].append(place)
            room -= widths[place]
        return [self._of((*range(self.labels), *group)) for group in groups]

    @property
    def columns(self) -> int:
        return len(self.headings)

    def _of(self, places: Sequence[int]) -> Measured:
        rows = (self.headings, *self.rows)
        headings, *kept = (tuple(row[place] for place in places) for row in rows)
        return Measured(headings, self.labels, tuple(kept))


def claim_cells(row: Row) -> tuple[str, ...]:
    """A judged row under CLAIM_HEADINGS."""
    contradiction = f" (contradicts {row.claim.contradicts})" if row.claim.contradicts else ""
    where = row.claim.source + contradiction
    return (row.claim.text + _at(row), where, _published(row), _ours(row), row.verdict.word, row.verdict.reason)


def measured(table: Table, experiment: str) -> Measured | None:
    """What ran, claimed or not, base first: the mean ± standard deviation over seeds of what is a number; None where nothing ran."""
    grid = table.grids[experiment]
    cells = [CellKey(experiment, variant, point) for variant in (BASE, *grid.variants) for point in grid.points()]
    cells = [cell for cell in cells if table.results.get(cell) or table.failures.get(cell)]
    texts = {cell: [mean_text(table, cell, measure) for measure in grid.measures] for cell in cells}
    shown = [place for place in range(len(grid.measures)) if any(row[place] for row in texts.values())]
    if not shown:
        return None
    at = any(cell.point for cell in cells)
    rows = (
        (
            cell.variant,
            *([point_text(cell.point)] if at else []),
            f"{len(table.results.get(cell, {}))}",
            *(texts[cell][place] for place in shown),
        )
        for cell in cells
    )
    labels = ("variant", *(["at"] if at else []), "seeds")
    headings = (grid.units.heading(grid.measures[place]) for place in shown)
    return Measured((*labels, *headings), len(labels), tuple(rows))


def markdown(table: Table) -> str:
    """Every experiment's claims and measures, a section each."""
    parts: list[str] = []
    for experiment in table.shown:
        rows = table.rows[experiment]
        parts += [f"## {experiment}", *([_grid(CLAIM_HEADINGS, map(claim_cells, rows))] if rows else [])]
        found = measured(table, experiment)
        if found is not None:
            parts += ["Mean ± standard deviation over seeds:", _grid(found.headings, found.rows)]
    absent = [f"- {cell_name(cell)}: {why}" for cell, why in table.not_run.items()]
    if absent:
        parts += ["## Not run", "\n".join(absent)]
    lost = [f"- {cell_name(cell)} seed = {seed}: {one.reason}" for cell, seed, one in failed_cells(table)]
    if lost:
        parts += ["## Failed", "\n".join(lost)]
    return "\n\n".join(parts) + "\n"


def failed_cells(table: Table) -> list[tuple[CellKey, int, Failure]]:
    return [(cell, seed, one) for cell, by_seed in table.failures.items() for seed, one in sorted(by_seed.items())]


def cell_name(cell: CellKey) -> str:
    return " ".join(part for part in (cell.experiment, cell.variant, point_text(cell.point)) if part)


def figure(value: float) -> str:
    """Counts in full, anything else to four digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 and float(value).is_integer() else f"{value:.4g}"


def _grid(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def point_text(point: Point) -> str:
    return ", ".join(f"{name} = {value}" for name, value in point)


def mean_text(table: Table, cell: CellKey, measure: str) -> str:
    """Mean ± standard deviation over the seeds that gave a number, in the unit that people read, and how many did not; empty where
    there is nothing, or no number."""
    lost = len(table.failures.get(cell, {}))
    if not table.results.get(cell):
        return "failed" if lost else ""
    values = np.asarray(table.units(cell.experiment).value(measure, table.measure(cell, measure)))
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values):
        return ""
    diverged = sum(bool(result.diverged) for result in table.results[cell].values())
    known = values[np.isfinite(values)] if lost or diverged else values
    notes = [f"{count} {what}" for count, what in ((diverged, "diverged"), (lost, "failed")) if count]
    spread = Spread.of(known.tolist()) if known.size else None
    text = (
        "" if spread is None else figure(spread.mean) + (f" ± {spread.deviation:.2g}" if spread.deviation > 0 else "")
    )
    return f"{text} ({', '.join(notes)})".strip() if notes else text


def _at(row: Row) -> str:
    return f" [{', '.join(f'{name} = {value}' for name, value in row.where.items())}]" if row.where else ""


def _published(row: Row) -> str:
    if row.published is None:
        return ""
    room = f" ± {figure(row.reading * row.tolerance)}" if row.tolerance is not None else ""
    return f"{figure(row.reading * row.published)}{room}{after_number(row.shown)}"


def _ours(row: Row) -> str:
    """Mean with the half width of its 95 % interval, and the number of seeds; both sides of a comparison; a dash where nothing ran."""
    if row.ours.count == 0:
        return "-"
    if row.sides is not None:
        value = " against ".join(figure(row.reading * side) for side in row.sides)
    else:
        known = row.ours.half_width == row.ours.half_width
        room = f" ± {figure(row.reading * row.ours.half_width)}" if known else ""
        value = figure(row.reading * row.ours.mean) + room
    return f"{value}{after_number(row.shown)} (n = {row.ours.count})"
