"""`cortexspec reproduce`: a paper's claims, judged."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortexspec.cli.options import AsJson, Backend, Data, Dtype, Precision, SpecFile
from cortexspec.cli.output import finish, reporting, say_json

if TYPE_CHECKING:
    from cortexspec.experiments.claim import Row
    from cortexspec.experiments.reproduce import Table


def reproduce(
    file: SpecFile,
    experiments: Annotated[
        list[str],
        typer.Option("--experiment", "-e", metavar="NAME", help="Only this experiment; may be given several times."),
    ] = [],  # noqa: B006  (typer copies the default)
    profile: Annotated[
        str,
        typer.Option("--profile", metavar="NAME", help="smoke, parity or demo: the small experiments of that name."),
    ] = "",
    backend: Backend = "jax",
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
    from cortexspec.experiments.reproduce import reproduce as run_claims
    from cortexspec.experiments.session import Choice

    with reporting(as_json):
        choice = Choice(file, backend=backend, dtype=dtype.value, data=data)
        table = run_claims(choice, experiments, profile=profile, store=results, workers=workers, on_cell=_tell_cell)
    if as_json:
        say_json(ok=not (strict and table.failed), **_as_data(table))
    else:
        print_table(table)
    finish(not (strict and table.failed))


def _tell_cell(task: Any, result: Any, status: str, done: int, total: int) -> None:
    """A line a cell, to stderr, as it ends."""
    cell = task.cell
    at = " ".join(f"{name}={value}" for name, value in dict(cell.point).items())
    numbers = ", ".join(f"{name} {_figure(value)}" for name, value in result.measures.items() if _is_number(value))
    outcome = f"diverged: {result.diverged}" if result.diverged else numbers
    took = f"{result.seconds:.1f} s" if status == "ran" else status
    where = " ".join(part for part in (cell.experiment, cell.variant, at, f"seed={task.seed}") if part)
    print(f"[{done}/{total}] {where}: {outcome} ({took})", file=sys.stderr, flush=True)


def print_table(table: "Table") -> None:
    from rich.console import Console
    from rich.table import Table as Grid

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=140)
    for experiment, rows in table.rows.items():
        if not rows:
            continue
        grid = Grid(title=experiment, title_justify="left", title_style="bold", show_lines=False)
        for heading in ("claim", "where", "paper", "ours", "verdict", "reason"):
            grid.add_column(heading, overflow="fold")
        for row in rows:
            style = {"holds": "green", "fails": "red", "undecided": "yellow"}.get(row.verdict.word, "")
            contradiction = f" (contradicts {row.claim.contradicts})" if row.claim.contradicts else ""
            grid.add_row(
                row.claim.text + _at(row),
                row.claim.source + contradiction,
                _published(row),
                _ours(row),
                f"[{style}]{row.verdict.word}[/]" if style else row.verdict.word,
                row.verdict.reason,
            )
        console.print(grid)
    for cell, why in table.not_run.items():
        console.print(f"not run: {cell.experiment} {cell.variant} {dict(cell.point)}: {why}", markup=False)


def _at(row: "Row") -> str:
    return f" [{', '.join(f'{name} = {value}' for name, value in row.where.items())}]" if row.where else ""


def _published(row: "Row") -> str:
    if row.published is None:
        return ""
    return _figure(row.published) + (f" ± {_figure(row.tolerance)}" if row.tolerance is not None else "")


def _ours(row: "Row") -> str:
    """Mean with the half width of its 95 % interval, and the number of seeds; a dash where nothing ran."""
    if row.ours.count == 0:
        return "-"
    spread = "" if row.ours.half_width != row.ours.half_width else f" ± {_figure(row.ours.half_width)}"
    return f"{_figure(row.ours.mean)}{spread} (n = {row.ours.count})"


def _figure(value: float) -> str:
    return f"{value:.4g}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


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
