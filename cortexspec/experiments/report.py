"""A table of claims as people read it: rows of text, and the same as Markdown with every measured mean beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cortexspec.experiments.claim import BASE, CellKey, Point, Row
from cortexspec.experiments.reproduce import Failure, Table
from cortexspec.experiments.statistics import Spread

CLAIM_HEADINGS = ("claim", "where", "paper", "ours", "verdict", "reason")


@dataclass(frozen=True, slots=True)
class Measured:
    """One measure of an experiment at every point of `vary` [rows] and for every variant that ran [columns]."""

    experiment: str
    measure: str
    variants: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]  # the point, then mean ± standard deviation over seeds by variant


def claim_cells(row: Row) -> tuple[str, ...]:
    """A judged row under CLAIM_HEADINGS."""
    contradiction = f" (contradicts {row.claim.contradicts})" if row.claim.contradicts else ""
    where = row.claim.source + contradiction
    return (row.claim.text + _at(row), where, _published(row), _ours(row), row.verdict.word, row.verdict.reason)


def measured(table: Table, experiment: str) -> list[Measured]:
    """What ran, claimed or not: one table a measure that is a number, base first."""
    grid = table.grids[experiment]
    cells = [cell for cell in table.results if cell.experiment == experiment]
    cells = [cell for cell in cells if table.results[cell] or table.failures.get(cell)]
    variants = tuple(name for name in (BASE, *grid.variants) if any(cell.variant == name for cell in cells))
    tables: list[Measured] = []
    for measure in grid.measures:
        rows: list[tuple[str, tuple[str, ...]]] = []
        for point in grid.points():
            texts = tuple(mean_text(table, CellKey(experiment, variant, point), measure) for variant in variants)
            if any(texts):
                rows.append((point_text(point), texts))
        if rows:
            tables.append(Measured(experiment, measure, variants, tuple(rows)))
    return tables


def markdown(table: Table) -> str:
    """Every experiment's claims and measures, a section each."""
    parts: list[str] = []
    for experiment, rows in table.rows.items():
        if not rows:
            continue
        parts += [f"## {experiment}", _grid(CLAIM_HEADINGS, map(claim_cells, rows))]
        for each in measured(table, experiment):
            lines = ((point or "all", *texts) for point, texts in each.rows)
            parts.append(_grid((each.measure, *each.variants), lines))
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
    """Mean ± standard deviation over the seeds that gave a number, and how many did not; empty where there is nothing, or no number."""
    lost = len(table.failures.get(cell, {}))
    if not table.results.get(cell):
        return "failed" if lost else ""
    values = np.asarray(table.measure(cell, measure))
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
    room = f" ± {figure(row.tolerance)}" if row.tolerance is not None else ""
    return f"{figure(row.published)}{room}{_unit(row)}"


def _ours(row: Row) -> str:
    """Mean with the half width of its 95 % interval, and the number of seeds; both sides of a comparison; a dash where nothing ran."""
    if row.ours.count == 0:
        return "-"
    if row.sides is not None:
        value = f"{figure(row.sides[0])} against {figure(row.sides[1])}"
    else:
        known = row.ours.half_width == row.ours.half_width
        value = figure(row.ours.mean) + (f" ± {figure(row.ours.half_width)}" if known else "")
    return f"{value}{_unit(row)} (n = {row.ours.count})"


def _unit(row: Row) -> str:
    return f" {row.unit}" if row.unit else ""
