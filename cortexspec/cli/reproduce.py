"""`cortexspec reproduce`: a paper's claims, judged."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from cortexspec.cli.options import AsJson, Data, Dtype, Precision, SpecFile
from cortexspec.cli.output import finish, reporting, say, say_json, show_diagnostics

if TYPE_CHECKING:
    from cortexspec.experiments.reproduce import Table, Watch

_INTERRUPTED = 130


class Progress(StrEnum):
    auto = "auto"
    lines = "lines"
    none = "none"


_STYLES = {"holds": "green", "fails": "red", "undecided": "yellow"}


def reproduce(
    file: SpecFile,
    experiments: Annotated[
        list[str],
        typer.Option("--experiment", "-e", metavar="NAME", help="Only this experiment; may be given several times."),
    ] = [],  # noqa: B006  (typer copies the default)
    profile: Annotated[
        str,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="Only experiments of that name or with it as suffix; smoke, parity, demo and full run only so.",
        ),
    ] = "",
    backend: Annotated[
        str,
        typer.Option(
            "--backend",
            "-b",
            metavar="NAME",
            help="interpreter, torch, jax, or a plugin's; auto is torch for what trains by a gradient, unless its neurons have matrices "
            "of their own, else JAX.",
        ),
    ] = "auto",
    dtype: Dtype = Precision.float32,
    data: Data = None,
    results: Annotated[
        Path, typer.Option("--results", metavar="FOLDER", help="Where finished cells are kept and found again.")
    ] = Path("results"),
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            min=0,
            show_default="one a core",
            help="Cells that run at one time, each in a process of its own; 0 runs them in this one.",
        ),
    ] = None,
    executor: Annotated[
        str,
        typer.Option(
            "--executor",
            metavar="NAME",
            help="local: processes, each replaced when it dies; dask or dask:ADDRESS; slurm or slurm:NAME=VALUE,..",
        ),
    ] = "local",
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Write one HTML file with verdicts, figures and every cell.",
            dir_okay=False,
        ),
    ] = None,
    progress: Annotated[
        Progress,
        typer.Option(
            "--progress", help="auto: a table that follows along, at a terminal only; lines: one a cell, for a log."
        ),
    ] = Progress.auto,
    only_kept: Annotated[
        bool, typer.Option("--only-kept", help="Judge the cells that are finished; run nothing.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when a claim fails.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run what the claims of a spec need, and judge them.

    An experiment that claims nothing runs where -e names it: every variant at every place of its grid, for its measures.

    A row a claim: the paper's figure, ours with its spread over seeds, the verdict and its reason. A cell that an earlier call
    finished is not run again, so an interrupted call goes on where it stopped. A cell whose data is absent is `not run`; one that
    fails stops no other, and the exit code is 1.

    Measures are shown in the unit that the claims write, else in Hz for a rate, else in the coherent one. With --json figures are in
    `unit`, and in coherent units (ms, mV, pA, nS, kHz, ..) where a claim writes none.

    Examples:

      cortexspec reproduce specs/cmc --report cmc.html

      cortexspec reproduce specs/cmc -e ablation --data ~/data --strict

      cortexspec reproduce specs/cmc --executor dask:tcp://10.0.0.1:8786
    """
    from cortexspec.experiments.sweep import CLAIMS, FIGURES
    from cortexspec.experiments.sweep import reproduce as run_sweep

    with reporting(as_json), _followed(progress, as_json, f"{file.parent.name}/{file.name}", results) as watch:
        table = run_sweep(
            file, experiments, profile=profile, backend=backend, dtype=dtype.value, data=data, results=results,
            executor=executor, workers=workers, report=report, watch=watch, only_kept=only_kept,
        )  # fmt: skip
    fine = not (table.broken or (strict and table.failed))
    if as_json:
        say_json(ok=fine, **_as_data(table))
    else:
        print_table(table)
        figures = f"; figures: {results / FIGURES}" if any((results / FIGURES).glob("*")) else ""
        say(f"The same as Markdown: {results / CLAIMS}{figures}" + (f"; report: {report}" if report else ""))
        _show_failures(table)
    finish(fine)


@contextmanager
def _followed(progress: Progress, quiet: bool, title: str, results: Path) -> "Generator[Watch | None, None, None]":
    """Who follows the sweep: a table at a terminal, lines where they are asked for, else nobody."""
    from cortexspec.experiments.progress import Lines, LiveTable

    try:
        if progress is Progress.lines:
            yield Lines(lambda line: print(line, file=sys.stderr, flush=True))
        elif progress is Progress.auto and not quiet and sys.stderr.isatty():
            with LiveTable(sys.stderr, title) as table:
                yield table
        else:
            yield None
    except KeyboardInterrupt:
        print(
            f"interrupted; what is finished is kept in {results}, the same command goes on from there", file=sys.stderr
        )
        raise typer.Exit(_INTERRUPTED) from None


def _show_failures(table: "Table") -> None:
    """Each mistake once, however many cells it broke."""
    failures = [one for by_seed in table.failures.values() for one in by_seed.values()]
    found = dict.fromkeys(diagnostic for one in failures for diagnostic in one.diagnostics)
    show_diagnostics(found, {name: text for one in failures for name, text in one.sources.items()})
    for text in dict.fromkeys(one.details or one.reason for one in failures if not one.diagnostics):
        print(text.rstrip(), file=sys.stderr)


def print_table(table: "Table") -> None:
    """Claims with their verdicts, then what every cell measured, an experiment at a time."""
    from rich.console import Console
    from rich.table import Table as Grid

    from cortexspec.experiments.report import CLAIM_HEADINGS, cell_name, claim_cells, failed_cells, measured

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=140)
    for experiment in table.shown:
        grid = Grid(title=experiment, title_justify="left", title_style="bold", show_lines=False)
        for heading in CLAIM_HEADINGS:
            grid.add_column(heading, overflow="fold")
        for row in table.rows[experiment]:
            *cells, word, reason = map(escape, claim_cells(row))
            style = _STYLES.get(word, "")
            grid.add_row(*cells, f"[{style}]{word}[/]" if style else word, reason)
        if table.rows[experiment]:
            console.print(grid)
        found = measured(table, experiment)
        for part in found.parts(console.width) if found is not None else ():
            console.print(f"{experiment}: mean ± standard deviation over seeds", markup=False)
            grid = Grid()
            for place, heading in enumerate(part.headings):
                grid.add_column(escape(heading), justify="left" if place < part.labels else "right", overflow="fold")
            for texts in part.rows:
                grid.add_row(*map(escape, texts))
            console.print(grid)
    quiet = [name for name in table.rows if name not in table.shown]
    if quiet:
        console.print(f"nothing ran of what claims nothing: {', '.join(quiet)}; -e NAME runs all of one", markup=False)
    for cell, seed, failure in failed_cells(table):
        console.print(f"failed: {cell_name(cell)} seed = {seed}: {failure.reason}", markup=False)
    for cell, why in table.not_run.items():
        console.print(f"not run: {cell.experiment} {cell.variant} {dict(cell.point)}: {why}", markup=False)


def _as_data(table: "Table") -> dict[str, Any]:
    from cortexspec.experiments.report import failed_cells

    rows = [
        {
            "experiment": experiment,
            "claim": row.claim.text,
            "from": row.claim.source,
            "contradicts": row.claim.contradicts,
            "where": dict(row.where),
            "published": row.published,
            "tolerance": row.tolerance,
            "unit": row.unit,
            "sides": row.sides,
            "mean": _or_none(row.ours.mean),
            "half_width": _or_none(row.ours.half_width),
            "seeds": row.ours.count,
            "verdict": row.verdict.word,
            "reason": row.verdict.reason,
        }
        for experiment, found in table.rows.items()
        for row in found
    ]
    absent = [
        {"experiment": cell.experiment, "variant": cell.variant, "at": dict(cell.point), "reason": why}
        for cell, why in table.not_run.items()
    ]
    failed = [
        {
            "experiment": cell.experiment,
            "variant": cell.variant,
            "at": dict(cell.point),
            "seed": seed,
            "reason": failure.reason,
            "details": failure.details,
        }
        for cell, seed, failure in failed_cells(table)
    ]
    return {"claims": rows, "not_run": absent, "failed": failed}


def _or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return value if value == value else None
