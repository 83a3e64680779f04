"""`cortexspec conformance`: one backend against the interpreter."""

import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortexspec.cli.options import AsJson
from cortexspec.cli.output import finish, reporting, say, say_json

if TYPE_CHECKING:
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

    A row a case and setting: how far values and gradients are off, relative to the largest value, against the bound. A known gap is
    no failure, and a gap that has closed is one: its entry has to go. Exit 1 where a row misses its bound.

    Examples:

      cortexspec conformance --backend jax --fast

      cortexspec conformance --backend torch --case "visual_hierarchy*" --all
    """
    from cortexspec.runtime.registry import load_backend
    from cortexspec.testing.conformance import rows

    with reporting(as_json):
        engine = load_backend(backend)
    found: list[Row] = []
    for row in rows(engine, fast=fast, everything=everything, wanted=lambda title: fnmatchcase(title, case)):
        found.append(row)
        if not as_json:
            say(_line(row))
            sys.stdout.flush()
    if not found:
        raise typer.BadParameter(f"no case fits `{case}`", param_hint="--case")
    missed = [row for row in found if not row.fine]
    if as_json:
        say_json(ok=not missed, backend=backend, rows=[_data(row) for row in found])
    else:
        gaps = sum(row.verdict == "gap" for row in found)
        said = f"{len(found) - len(missed) - gaps} rows hold"
        said += f", {gaps} are known gaps" if gaps else ""
        said += f", {len(missed)} miss" if missed else ""
        say(f"\n{backend}: {said}; {sum(row.seconds for row in found):.0f} s")
    finish(not missed)


def _line(row: "Row") -> str:
    measured = f"{row.error:8.1e} of {row.bound:.0e}" if row.verdict in ("holds", "missed", "gap closed") else " " * 17
    where = f"  {row.worst}" + (f" from step {row.step}" if row.step else "") if row.verdict == "missed" else ""
    note = f"  ({row.note})" if row.note else ""
    return f"{row.verdict:<10} {row.case:<40} {row.setting:<18} {row.quantity:<11} {measured}{where}{note}"


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
