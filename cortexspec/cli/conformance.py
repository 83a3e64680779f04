"""`cortexspec conformance`: one backend against the interpreter."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortexspec.cli.options import AsJson
from cortexspec.cli.output import finish, reporting, say, say_json

if TYPE_CHECKING:
    from rich.text import Text

    from cortexspec.testing.conformance import Task
    from cortexspec.testing.parity import Row


def conformance(
    backend: Annotated[str, typer.Option("--backend", "-b", metavar="NAME", help="The backend under test.")],
    case: Annotated[
        str, typer.Option("--case", "-k", metavar="PATTERN", help='Only these cases, such as "cmc *" or "* rk4".')
    ] = "*",
    fast: Annotated[bool, typer.Option("--fast", help="Every circuit once, and every solver once.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Also each pass alone and left out, every save policy, nesting and gradient.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the parity contract: does a backend give the interpreter's numbers?

    Each operation, each kind of loop, random draws bit by bit, then circuits: how far values and gradients are off, relative to the
    largest value, and gradients from central differences. The last lines give the worst of each against its bound. A known gap is
    no failure, and a gap that has closed is one: its entry has to go. Exit 1 where a row misses its bound.

    Examples:

      cortexspec conformance --backend jax --fast

      cortexspec conformance --backend torch --case "visual_hierarchy*" --all
    """
    from cortexspec.runtime.registry import load_backend
    from cortexspec.testing.conformance import tasks

    with reporting(as_json):
        engine = load_backend(backend)
    todo = tasks(engine, fast=fast, everything=everything, wanted=lambda title: fnmatchcase(title, case))
    if not todo:
        raise typer.BadParameter(f"no case fits `{case}`", param_hint="--case")
    start = perf_counter()
    found = _run(todo, backend)
    missed = [row for row in found if not row.fine]
    if as_json:
        say_json(ok=not missed, backend=backend, rows=[_data(row) for row in found])
    else:
        _print(found)
        gaps = sum(row.verdict == "gap" for row in found)
        said = f"{len(found) - len(missed) - gaps} rows hold"
        said += f", {gaps} are known gaps" if gaps else ""
        said += f", {len(missed)} miss" if missed else ""
        say(f"\n{backend}: {said}; {perf_counter() - start:.0f} s; the worst against its bound:")
        say("; ".join(_worst(found)))
    finish(not missed)


def _run(todo: "Sequence[Task]", backend: str) -> "list[Row]":
    """The rows, with a bar on stderr that says what runs and how many rows have missed so far."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    found: list[Row] = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(backend, total=len(todo))
        for one in todo:
            missed = sum(not row.fine for row in found)
            progress.update(bar, description=f"{one.title}, {one.about}" + (f" ({missed} missed)" if missed else ""))
            found += one.rows()
            progress.advance(bar)
    return found


def _print(rows: "Sequence[Row]") -> None:
    """A line a case and setting, its quantities side by side."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    together: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        together.setdefault((row.case, row.setting), []).append(row)
    quantities = [name for name in _QUANTITIES if any(row.quantity == name for row in rows)]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in ("verdict", "case", "setting"):
        table.add_column(title, no_wrap=True)
    for title in quantities:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("remarks", overflow="fold")
    said: set[tuple[str, str]] = set()
    before = ""
    for (case, setting), members in together.items():
        if before and case.partition(" ")[0] != before.partition(" ")[0]:
            table.add_section()
        before = case
        verdict = next((row.verdict for row in members if not row.fine), members[0].verdict)
        cells = {row.quantity: _cell(row) for row in members}
        remarks = "; ".join(dict.fromkeys(part for row in members for part in _remarks(row, said)))
        table.add_row(
            Text(verdict, style=_STYLES[verdict]), case, setting, *(cells.get(q, "") for q in quantities), Text(remarks)
        )
    console = Console()
    # A file has no width: nothing is cut there.
    (console if console.is_terminal else Console(width=200)).print(table)


_QUANTITIES = ("values", "gradients", "differences", "bits", "normals", "rates", "intervals", "")
_STYLES = {"holds": "green", "gap": "yellow", "missed": "bold red", "failed": "bold red", "gap closed": "bold red"}


def _cell(row: "Row") -> "Text":
    from rich.text import Text

    if row.verdict in ("failed", "gap"):
        return Text("-", style=_STYLES[row.verdict])
    text = f"{row.error:.1e}" if row.fine else f"{row.error:.1e} > {row.bound:.0e}"
    return Text(text, style="" if row.fine else _STYLES[row.verdict])


def _remarks(row: "Row", said: "set[tuple[str, str]]") -> "Iterator[str]":
    """Where a bound is missed; a case's note once."""
    if row.verdict == "missed":
        yield f"{row.quantity}: {row.worst}" + (f" from step {row.step}" if row.step else "")
    if row.note and (row.case, row.note) not in said:
        said.add((row.case, row.note))
        yield row.note


def _worst(rows: "Sequence[Row]") -> "Iterator[str]":
    """For each quantity, and apart for single precision and adaptive solvers, the row that comes nearest to its bound."""
    from cortexspec.testing.parity import kind_of

    kinds: dict[str, list[Row]] = {}
    for row in rows:
        if row.verdict not in ("failed", "gap"):
            kinds.setdefault(kind_of(row), []).append(row)
    for kind, members in kinds.items():
        one = max(members, key=lambda row: row.error / row.bound if row.bound else row.error)
        yield f"{kind} {one.error:.1e} of {one.bound:.0e} ({one.case}, {one.setting})"


def _data(row: "Row") -> dict[str, Any]:
    return {
        "case": row.case,
        "setting": row.setting,
        "quantity": row.quantity,
        "verdict": row.verdict,
        "error": row.error if row.error < float("inf") else None,
        "bound": row.bound,
        "worst": row.worst,
        "step": row.step,
        "note": row.note,
        "seconds": row.seconds,
    }
