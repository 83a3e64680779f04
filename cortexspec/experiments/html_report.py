"""The report of a sweep as one HTML file that needs nothing beside it: verdicts, figures, measures, cells, and where all of it is from."""

from __future__ import annotations

import base64
import hashlib
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain
from pathlib import Path

import numpy as np

from cortexspec.diagnostics import SpecError
from cortexspec.diagnostics.render_html import render_html
from cortexspec.experiments.cells import Result, now
from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.portrait import Drawn
from cortexspec.experiments.progress import clock
from cortexspec.experiments.report import (
    CLAIM_HEADINGS,
    cell_name,
    claim_cells,
    failed_cells,
    figure,
    measured,
    point_text,
)
from cortexspec.experiments.reproduce import Table
from cortexspec.experiments.session import Choice, Session
from cortexspec.experiments.shown_units import ShownUnits
from cortexspec.runtime.api import source_of

_WORDS = ("holds", "fails", "undecided", "printed", "not run")
_STYLE = """
:root { color-scheme: light; --ink: #1c2430; --soft: #5d6878; --line: #dfe4ea; --paper: #fff; --back: #f5f7f9;
  --holds: #0b7a53; --fails: #b3261e; --undecided: #8a5a00; --printed: #3b5b8c; --not-run: #5d6878; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 24px 64px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 6px; } h2 { font-size: 20px; margin: 0 0 12px; }
h3 { font-size: 15px; margin: 22px 0 8px; }
p { margin: 0 0 10px; max-width: 80ch; } .soft { color: var(--soft); }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; padding: 20px 22px; margin-top: 20px; }
nav { margin: 14px 0 0; } nav a { margin-right: 14px; } a { color: #1d5fa8; }
.tiles { display: flex; flex-wrap: wrap; gap: 10px; margin-top: 16px; }
.tile { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; padding: 8px 16px; min-width: 104px; }
.tile b { display: block; font-size: 22px; line-height: 1.2; } .tile span { color: var(--soft); font-size: 13px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; vertical-align: top; padding: 6px 10px; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap; } tbody th { font-weight: 600; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
code, .hash { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 12.5px; }
.verdict { display: inline-block; white-space: nowrap;
  padding: 1px 9px; border-radius: 10px; color: #fff; font-size: 12.5px; font-weight: 600; }
.holds { background: var(--holds); } .fails, .failed { background: var(--fails); } .undecided, .diverged { background: var(--undecided); }
.printed, .done { background: var(--printed); } .not-run, .missing { background: var(--not-run); }
.warning { border-left: 5px solid var(--fails); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 18px; margin-top: 6px; }
figure { margin: 0; } figure.wide { grid-column: 1 / -1; } figure img { max-width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: 13px; margin-top: 4px; }
details { margin-top: 16px; } summary { cursor: pointer; font-weight: 600; }
pre { overflow-x: auto; background: var(--back); padding: 10px 12px; border-radius: 6px; font-size: 12.5px; line-height: 1.45; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 5px 18px; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
@media print { body { background: #fff; } section { break-inside: avoid; border: 0; padding: 0; } details { display: none; } }
"""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One cell with one seed."""

    cell: CellKey
    seed: int
    state: str  # done, diverged, failed, missing
    result: Result | None = None
    why: str = ""


def html(choice: Choice, table: Table, figures: Sequence[Drawn] = ()) -> str:
    """The whole page. Figures are read from their files and become part of it."""
    entries = _entries(table)
    title, about = _title(choice)
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(about)}</p>" if about else "",
        f'<p class="soft">Claims of <code>{escape(choice.file.name)}</code>, judged {escape(now())}</p>',
        _tiles(table, entries),
        "<nav>"
        + " ".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in [*table.shown, "cells", "provenance"])
        + "</nav>",
        _missing(table, entries),
        *(
            _experiment(table, name, [one for one in figures if one.experiment == name], entries)
            for name in table.shown
        ),
        _cells(table, entries),
        _provenance(choice, table, entries),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(filter(None, body))
        + "\n</main>\n</body>\n</html>\n"
    )


def _title(choice: Choice) -> tuple[str, str]:
    """The first sentence of the spec's own description, and the rest of it; without one its file or folder."""
    text = " ".join(source_of(choice.file).spec.doc.split())
    if not text:
        return (choice.file if choice.file.is_dir() else choice.file.parent).absolute().name or choice.file.stem, ""
    first, rest = _first_sentence(text)
    return first.rstrip("."), rest


def _first_sentence(text: str) -> tuple[str, str]:
    """Up to a full stop outside of brackets, as in "(Mason et al. 2026)", and what follows."""
    parts = text.split(". ")
    for place in range(1, len(parts)):
        first = ". ".join(parts[:place])
        if first.count("(") == first.count(")"):
            return first, ". ".join(parts[place:])
    return text, ""


def _entries(table: Table) -> list[_Entry]:
    """Every cell of the sweep with every seed, in the order of the table."""
    found: list[_Entry] = []
    cells = dict.fromkeys([*table.results, *table.not_run, *table.failures])
    for cell in cells:
        seeds = {seed for known, seed in table.addresses if known == cell}
        grid = table.grids.get(cell.experiment)
        for seed in sorted(seeds | set(grid.seeds if grid is not None else ())):
            result = table.results.get(cell, {}).get(seed)
            failure = table.failures.get(cell, {}).get(seed)
            if result is not None:
                found.append(_Entry(cell, seed, "diverged" if result.diverged else "done", result, result.diverged))
            elif failure is not None:
                found.append(_Entry(cell, seed, "failed", None, failure.reason))
            else:
                found.append(_Entry(cell, seed, "missing", None, table.not_run.get(cell, "not run")))
    return found


def _tiles(table: Table, entries: Sequence[_Entry]) -> str:
    words = Counter(row.verdict.word for rows in table.rows.values() for row in rows)
    tiles = [(f"{words[word]}", word) for word in _WORDS if words[word]]
    states = Counter(one.state for one in entries)
    ran = states["done"] + states["diverged"]
    tiles.append((f"{ran}/{len(entries)}", "cells finished"))
    tiles += [(f"{states[state]}", f"cells {state}") for state in ("diverged", "failed", "missing") if states[state]]
    tiles.append((clock(sum(one.result.seconds for one in entries if one.result)), "time in cells"))
    return (
        '<div class="tiles">'
        + "".join(
            f'<div class="tile"><b>{escape(number)}</b><span>{escape(what)}</span></div>' for number, what in tiles
        )
        + "</div>"
    )


def _missing(table: Table, entries: Sequence[_Entry]) -> str:
    """What did not run or failed, and all there is to read about it; nothing where all cells finished."""
    absent = [one for one in entries if one.state in ("missing", "failed")]
    if not absent:
        return ""
    by_cell: dict[tuple[CellKey, str, str], list[int]] = {}
    for one in absent:
        by_cell.setdefault((one.cell, one.state, one.why), []).append(one.seed)
    lines = (
        (escape(cell_name(cell)), escape(", ".join(map(str, seeds))), _badge(state), escape(why))
        for (cell, state, why), seeds in by_cell.items()
    )
    details: dict[str, None] = {}
    for *_, failure in failed_cells(table):
        known = render_html(failure.diagnostics, dict(failure.sources)) if failure.diagnostics else ""
        details[known or f"<pre>{escape(failure.details or failure.reason)}</pre>"] = None
    return (
        f'<section class="warning" id="missing"><h2>{len(absent)} of {len(entries)} cells are missing</h2>'
        "<p>Claims that read them are not judged. The same command runs what is missing, and nothing else.</p>"
        + _grid(("cell", "seeds", "state", "why"), lines)
        + "".join(details)
        + "</section>"
    )


def _experiment(table: Table, name: str, figures: Sequence[Drawn], entries: Sequence[_Entry]) -> str:
    claims = [
        (*map(escape, cells[:4]), _badge(cells[4]), escape(cells[5])) for cells in map(claim_cells, table.rows[name])
    ]
    return (
        f'<section id="{escape(name)}"><h2>{escape(name)}</h2>'
        + (_grid(CLAIM_HEADINGS, claims) if claims else "")
        + _figures(figures)
        + _measures(table, name)
        + "</section>"
    )


def _figures(figures: Sequence[Drawn]) -> str:
    if not figures:
        return ""
    return "<h3>Figures</h3>" + '<div class="figures">' + "".join(map(_figure, figures)) + "</div>"


def _figure(drawn: Drawn) -> str:
    content = drawn.path.read_bytes()
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))  # of the PNG's header
    kind = ' class="wide"' if width > 1.8 * height else ""
    return (
        f'<figure{kind}><img alt="{escape(drawn.caption.replace("`", ""))}" width="{width // 2}" height="{height // 2}" '
        f'src="data:image/png;base64,{base64.b64encode(content).decode()}">'
        f"<figcaption>{_coded(drawn.caption)}</figcaption></figure>"
    )


def _coded(text: str) -> str:
    """Names between backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))


def _measures(table: Table, name: str) -> str:
    """Every number that is measured, a row a variant and place of the grid."""
    found = measured(table, name)
    if found is None:
        return ""
    lines = (tuple(map(escape, row)) for row in found.rows)
    return "<h3>Mean ± standard deviation over seeds</h3>" + _grid(found.headings, lines, numbers_from=found.labels - 1)


def _cells(table: Table, entries: Sequence[_Entry]) -> str:
    """Every cell with its numbers, folded away."""
    parts: list[str] = []
    for name in dict.fromkeys(one.cell.experiment for one in entries):
        own = [one for one in entries if one.cell.experiment == name]
        finished = [one.result for one in own if one.result]
        measures = [
            measure
            for measure in dict.fromkeys(chain.from_iterable(result.measures for result in finished))
            if all(np.ndim(result.measures.get(measure, 0.0)) == 0 for result in finished)
        ]
        lines = (_cell_line(table, one, measures) for one in own)
        named = map(table.units(name).heading, measures)
        headings = ("variant", "at", "seed", "state", "s", *named, "made", "address")
        count = sum(one.result is not None for one in own)
        parts.append(
            f"<details><summary>{escape(name)}: {count} of {len(own)}</summary>"
            + _grid(headings, lines, numbers_from=4)
            + "</details>"
        )
    return (
        '<section id="cells"><h2>Cells</h2><p>One line a variant, place of the grid and seed. The address is the SHA-256 of everything '
        "that the result depends on, and names its file in the folder of results.</p>" + "".join(parts) + "</section>"
    )


def _cell_line(table: Table, one: _Entry, measures: Iterable[str]) -> tuple[str, ...]:
    result = one.result
    units = table.units(one.cell.experiment)
    numbers = [_number(result.measures.get(measure), measure, units) if result else "" for measure in measures]
    return (
        escape(one.cell.variant),
        escape(point_text(one.cell.point)),
        f"{one.seed}",
        _badge(one.state) + (f" {escape(one.why)}" if one.state == "diverged" else ""),
        f"{result.seconds:.1f}" if result else "",
        *numbers,
        escape(result.made.get("at", "")) if result else "",
        f'<span class="hash">{table.addresses.get((one.cell, one.seed), "")[:12]}</span>',
    )


def _number(value: object, measure: str, units: ShownUnits) -> str:
    if isinstance(value, complex):
        return escape(f"{units.value(measure, value):.4g}")
    return figure(float(units.value(measure, value))) if isinstance(value, int | float | np.number) else ""


def _provenance(choice: Choice, table: Table, entries: Sequence[_Entry]) -> str:
    made: Counter[str] = Counter()
    for one in entries:
        if one.result:
            versions = [f"{name} {text}" for name, text in one.result.made.items() if name != "at"]
            made[", ".join(versions) or "not recorded"] += 1
    times = sorted(one.result.made["at"] for one in entries if one.result and "at" in one.result.made)
    described = _described(choice, table)
    facts: list[tuple[str, str]] = [
        ("spec", f"<code>{escape(str(choice.file))}</code>"),
        *((f"SHA-256 of {escape(name)}", f'<span class="hash">{digest}</span>') for name, digest in _digests(choice)),
        ("backend", escape(", ".join(sorted({str(one["backend"]) for one in described.values()})) or choice.backend)),
        ("precision", escape(choice.dtype)),
        *(
            (f"data of {escape(name)}", f'<span class="hash">{escape(str(one["data"]))}</span>')
            for name, one in described.items()
            if one["data"]
        ),
        *(
            (f"seeds of {escape(name)}", escape(", ".join(map(str, grid.seeds))))
            for name, grid in table.grids.items()
            if name in table.shown
        ),
        *(("made by", f"{escape(text)} ({count} cells)") for text, count in made.most_common()),
        ("cells made", escape(f"{times[0]} to {times[-1]}") if times else ""),
        ("time in cells", clock(sum(one.result.seconds for one in entries if one.result))),
        ("this call", f"{clock(table.seconds)}, on {escape(platform.platform())}"),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts if text)
    return f'<section id="provenance"><h2>Provenance</h2><dl>{listed}</dl></section>'


def _described(choice: Choice, table: Table) -> dict[str, Mapping[str, object]]:
    """What one cell of each experiment depends on."""
    found: dict[str, Mapping[str, object]] = {}
    for cell, seed in table.addresses:
        if cell.experiment not in found:
            try:
                found[cell.experiment] = Session.describe(choice, cell, seed)
            except SpecError:  # its data went away while the others ran
                continue
    return found


def _digests(choice: Choice) -> list[tuple[str, str]]:
    """Every file that the spec consists of."""
    paths = (Path(name) for name in source_of(choice.file).sources)
    return [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths if path.is_file()]


def _badge(word: str) -> str:
    return f'<span class="verdict {word.replace(" ", "-")}">{escape(word)}</span>'


def _grid(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int | None = None) -> str:
    """A table of cells that are HTML already."""
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    lines: list[str] = []
    for first, *rest in rows:
        kinds = (numbers_from is not None and place >= numbers_from for place in range(1, len(rest) + 1))
        cells = "".join(
            f'<td class="number">{cell}</td>' if number else f"<td>{cell}</td>"
            for cell, number in zip(rest, kinds, strict=True)
        )
        lines.append(f'<tr><th scope="row">{first}</th>{cells}</tr>')
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
