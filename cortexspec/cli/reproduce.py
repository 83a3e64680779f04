"""`cortexspec reproduce`: a paper's claims, judged."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from cortexspec.cli.options import AsJson, Data, Dtype, Precision, SpecFile
from cortexspec.cli.output import finish, reporting, say, say_json

if TYPE_CHECKING:
    from cortexspec.experiments.reproduce import Table

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
            help="interpreter, torch, jax, or a plugin's; auto is torch for what trains by a gradient, else JAX.",
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
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when a claim fails.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run what the claims of a spec need, and judge them.

    A row a claim: the paper's figure, ours with its spread over seeds, the verdict and its reason. A cell that an earlier call
    finished is not run again, so an interrupted call goes on where it stopped. A cell whose data is absent is `not run`.

    Examples:

      cortexspec reproduce specs/cmc

      cortexspec reproduce specs/cmc -e ablation --data ~/data --strict
    """
    from cortexspec.experiments.portrait import draw_networks, draw_table
    from cortexspec.experiments.report import markdown
    from cortexspec.experiments.reproduce import reproduce as run_claims
    from cortexspec.experiments.session import Choice
    from cortexspec.runtime.files import write_whole

    with reporting(as_json):
        choice = Choice(file, backend=backend, dtype=dtype.value, data=data)
        table = run_claims(choice, experiments, profile=profile, store=results, workers=workers, on_cell=_tell_cell)
        figures = [*draw_table(table, results / "figures"), *draw_networks(choice, table, results / "figures")]
        write_whole(results / "claims.md", markdown(table).encode())
    if as_json:
        say_json(ok=not (strict and table.failed), **_as_data(table))
    else:
        print_table(table)
        say(f"The same as Markdown: {results / 'claims.md'}" + (f"; figures: {results / 'figures'}" if figures else ""))
    finish(not (strict and table.failed))


def _tell_cell(task: Any, result: Any, status: str, done: int, total: int) -> None:
    """A line a cell, to stderr, as it ends."""
    cell = task.cell
    at = " ".join(f"{name}={value}" for name, value in dict(cell.point).items())
    numbers = ", ".join(f"{name} {float(value):.4g}" for name, value in result.measures.items() if _is_number(value))
    outcome = f"diverged: {result.diverged}" if result.diverged else numbers
    took = f"{result.seconds:.1f} s" if status == "ran" else status
    where = " ".join(part for part in (cell.experiment, cell.variant, at, f"seed={task.seed}") if part)
    print(f"[{done}/{total}] {where}: {outcome} ({took})", file=sys.stderr, flush=True)


def print_table(table: "Table") -> None:
    """Claims with their verdicts, then what every cell measured, an experiment at a time."""
    from rich.console import Console
    from rich.table import Table as Grid

    from cortexspec.experiments.report import CLAIM_HEADINGS, claim_cells, measured

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=140)
    for experiment, rows in table.rows.items():
        if not rows:
            continue
        grid = Grid(title=experiment, title_justify="left", title_style="bold", show_lines=False)
        for heading in CLAIM_HEADINGS:
            grid.add_column(heading, overflow="fold")
        for row in rows:
            *cells, word, reason = map(escape, claim_cells(row))
            style = _STYLES.get(word, "")
            grid.add_row(*cells, f"[{style}]{word}[/]" if style else word, reason)
        console.print(grid)
        for each in measured(table, experiment):
            console.print(f"{experiment}: {each.measure}, mean ± standard deviation over seeds", markup=False)
            grid = Grid("", *each.variants)
            for point, texts in each.rows:
                grid.add_row(point or "all", *texts)
            console.print(grid)
    for cell, why in table.not_run.items():
        console.print(f"not run: {cell.experiment} {cell.variant} {dict(cell.point)}: {why}", markup=False)


def _is_number(value: Any) -> bool:
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return (
        kind in ("f", "i")
        if getattr(value, "ndim", None) == 0
        else isinstance(value, (int, float)) and not isinstance(value, bool)
    )


def _as_data(table: "Table") -> dict[str, Any]:
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
    return {"claims": rows, "not_run": absent}


def _or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return value if value == value else None
