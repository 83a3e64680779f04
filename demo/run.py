"""`make demo`: the canonical microcircuit learns the embedded digits; its claims are judged and its figures drawn.

Everything here is the public face: the same cells as `cortexspec reproduce specs/cmc --profile demo`.
"""

import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cortexspec.cli.reproduce import print_table
from cortexspec.experiments.cells import CellStore, Result
from cortexspec.experiments.pool import available_cores
from cortexspec.experiments.portrait import draw_session, draw_table
from cortexspec.experiments.reproduce import Task, reproduce
from cortexspec.experiments.session import Choice, Session

SPEC = Path(__file__).parent.parent / "specs" / "cmc"
FIGURES = Path(__file__).parent / "results"


def main() -> int:
    console = Console(highlight=False)
    started = time.perf_counter()
    choice = Choice(SPEC, backend="torch")
    console.print("The canonical microcircuit on the 6,000 + 1,000 embedded digits, with and without its dynamics.")
    columns = (
        TextColumn("{task.description:<36}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:

        def run(task: Task) -> Result:
            name = f"{task.cell.variant}, seed {task.seed}"
            bar = progress.add_task(name, total=None)

            def report(done: int, total: int, numbers: Mapping[str, float]) -> None:
                progress.update(bar, completed=done, total=total, description=f"{name}: loss {numbers['loss']:.3f}")

            session = Session.open(task.choice, task.cell, task.seed)
            result = session.result(report=report)
            CellStore(task.store).keep(task.key, session.description, result)
            progress.update(bar, description=f"{name}: accuracy {result.measures['accuracy']:.1%}")
            if task.cell.variant == "base" and task.seed == 1:
                bar = progress.add_task("phase portraits, loss landscape", total=None)
                draw_session(
                    session,
                    FIGURES,
                    points=11,
                    report=lambda done, total: progress.update(bar, completed=done, total=total),
                )
            return result

        with ThreadPoolExecutor(available_cores()) as pool:
            table = reproduce(choice, profile="demo", store=FIGURES / "cells", executor=pool, run=run)
    draw_table(table, FIGURES)
    print_table(table)
    console.print(f"Figures are in {FIGURES}/. {time.perf_counter() - started:.0f} s.")
    return 1 if table.broken else 0


if __name__ == "__main__":
    sys.exit(main())
