"""How far a sweep is: counts by experiment, time per cell, time left; and a table of it at a terminal that follows along."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any, TextIO

import numpy as np

from cortexspec.experiments.cells import CellStore, Result
from cortexspec.experiments.report import figure
from cortexspec.experiments.reproduce import Failure, Status, Task
from cortexspec.experiments.shown_units import ShownUnits

_REFRESH_SECONDS = 0.5


@dataclass(slots=True)
class Counts:
    """Of one experiment: cells in all, how many were found, ran, failed and run now; and how long each took (s)."""

    total: int = 0
    kept: int = 0
    ran: int = 0
    failed: int = 0
    running: int = 0
    seconds: list[float] = field(default_factory=list[float])

    @property
    def done(self) -> int:
        return self.kept + self.ran

    @property
    def left(self) -> int:
        """Neither over nor under way."""
        return max(self.total - self.done - self.failed - self.running, 0)

    @property
    def per_cell(self) -> float:
        """Seconds; NaN where none ran yet."""
        return float(np.mean(self.seconds)) if self.seconds else float("nan")


DRAWING = "drawing figures"


class Progress:
    """Counts a sweep as it goes. A `Watch`."""

    def __init__(self) -> None:
        self.experiments: dict[str, Counts] = {}
        self.failures: list[tuple[Task, Failure]] = []
        self.doing = ""  # what follows the cells
        self._by_key: dict[str, str] = {}
        self._store: CellStore | None = None
        self._over = set[str]()

    def begin(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            self.experiments.setdefault(task.cell.experiment, Counts()).total += 1
            self._by_key[task.key] = task.cell.experiment
            self._store = CellStore(task.store)

    def drawing(self) -> None:
        self.doing = DRAWING

    def ended(self, task: Task, outcome: Result | Failure, status: Status) -> None:
        counts = self.experiments[task.cell.experiment]
        self._over.add(task.key)
        if isinstance(outcome, Failure):
            counts.failed += 1
            self.failures.append((task, outcome))
            return
        counts.seconds.append(outcome.seconds)
        counts.kept += status == "kept"
        counts.ran += status == "ran"

    def look(self) -> None:
        """Which cells run now, as their workers mark them."""
        now = [] if self._store is None else self._store.run_now()
        running = [self._by_key[key] for key in now if key in self._by_key and key not in self._over]
        for name, counts in self.experiments.items():
            counts.running = running.count(name)

    @property
    def total(self) -> Counts:
        found = Counts()
        for one in self.experiments.values():
            found.total += one.total
            found.kept += one.kept
            found.ran += one.ran
            found.failed += one.failed
            found.running += one.running
            found.seconds += one.seconds
        return found

    def time_left(self, names: Sequence[str] = ()) -> float:
        """Seconds, if as many cells run at one time as do now; those of an experiment that none ran of take the mean of the others."""
        mean = self.total.per_cell
        work = 0.0
        for name in names or self.experiments:
            counts = self.experiments[name]
            each = counts.per_cell if counts.seconds else mean
            work += (counts.left + counts.running / 2) * each if counts.left + counts.running else 0.0
        return work / max(self.total.running, 1)


def rows(progress: Progress) -> list[tuple[str, ...]]:
    """Under HEADINGS: a row an experiment, the whole last where there are several."""
    found = [_row(name, counts, progress.time_left([name])) for name, counts in progress.experiments.items()]
    return found if len(found) < 2 else [*found, _row("all", progress.total, progress.time_left())]


HEADINGS = ("experiment", "done", "running", "failed", "left", "s per cell", "time left")


def _row(name: str, counts: Counts, left: float) -> tuple[str, ...]:
    done = f"{counts.done}/{counts.total}" + (f" ({counts.kept} kept)" if counts.kept else "")
    each = f"{counts.per_cell:.3g}" if counts.seconds else ""
    ended = counts.done + counts.failed == counts.total
    return (
        name, done, _count(counts.running), _count(counts.failed), _count(counts.left), each,
        "" if ended else clock(left),
    )  # fmt: skip


def _count(number: int) -> str:
    return f"{number}" if number else ""


def clock(seconds: float) -> str:
    """`1:02:03`, `2:03`; a question mark where it is not known."""
    if not np.isfinite(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class LiveTable:
    """The counts on a terminal, renewed twice a second while the block runs. A `Watch`."""

    def __init__(self, stream: TextIO, title: str = ""):
        from rich.console import Console
        from rich.live import Live

        self.progress = Progress()
        self._title = title
        self._started = time.monotonic()
        self._live = Live(console=Console(file=stream, highlight=False), auto_refresh=False, get_renderable=self._drawn)
        self._over = Event()
        self._thread = Thread(target=self._renew, daemon=True)

    def begin(self, tasks: Sequence[Task]) -> None:
        self.progress.begin(tasks)

    def ended(self, task: Task, outcome: Result | Failure, status: Status) -> None:
        self.progress.ended(task, outcome, status)

    def drawing(self) -> None:
        self.progress.drawing()

    def __enter__(self) -> LiveTable:
        self._live.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.progress.look()
        self._live.refresh()
        self._live.stop()

    def _renew(self) -> None:
        while not self._over.wait(_REFRESH_SECONDS):
            self.progress.look()
            self._live.refresh()

    def _drawn(self) -> Any:
        from rich.table import Table

        took = clock(time.monotonic() - self._started)
        grid = Table(title=f"{self._title}  {took}".strip(), title_justify="left", title_style="bold")
        grid.caption, grid.caption_justify = self.progress.doing or None, "left"
        for place, heading in enumerate(HEADINGS):
            grid.add_column(
                heading, justify="left" if place == 0 else "right", style="red" if heading == "failed" else ""
            )
        for row in rows(self.progress):
            grid.add_row(*row)
        return grid


class Lines:
    """A line a cell as it ends, for a log. A `Watch`."""

    def __init__(self, write: Callable[[str], None]):
        self._write = write
        self._total = 0
        self._done = 0

    def drawing(self) -> None:
        self._write(DRAWING)

    def begin(self, tasks: Sequence[Task]) -> None:
        self._total = len(tasks)

    def ended(self, task: Task, outcome: Result | Failure, status: Status) -> None:
        self._done += 1
        at = [f"{name}={value}" for name, value in task.cell.point]
        where = " ".join([task.cell.experiment, task.cell.variant, *at, f"seed={task.seed}"])
        self._write(f"[{self._done}/{self._total}] {where}: {_told(outcome, status, task.units)}")


def _told(outcome: Result | Failure, status: Status, units: ShownUnits) -> str:
    if isinstance(outcome, Failure):
        return f"failed: {outcome.reason}"
    numbers = ", ".join(
        f"{name} {units.text(name, float(value), figure)}"
        for name, value in outcome.measures.items()
        if _is_number(value)
    )
    took = f"{outcome.seconds:.1f} s" if status == "ran" else status
    return f"{f'diverged: {outcome.diverged}' if outcome.diverged else numbers} ({took})"


def _is_number(value: Any) -> bool:
    array = np.asarray(value)
    return array.ndim == 0 and array.dtype.kind in "fi"
