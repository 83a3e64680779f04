"""Compare programs by CPU time on one pinned core: interleaved rounds, ratios with an interval, bars with a verdict.

A ratio of medians would compare two moments of a shared machine. Here every round times every program once, one after
the other, and each round gives one ratio; the median of these ratios is the result, and a bootstrap over rounds its
95 % interval. Time is the CPU time of the whole process, so a program cannot hide its work in a thread.
"""

import argparse
import ctypes
import gc
import json
import math
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, TypeAlias

TIE = 1.3
"""Ratios below this, either way, are a tie."""
FEWEST_ROUNDS = 15
RESAMPLES = 10_000

_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
}
_ONE_THREAD_XLA = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
_NUMERICAL_LIBRARIES = ("numpy", "torch", "jax")

Run: TypeAlias = Callable[[], object]
Framework: TypeAlias = Literal["torch", "jax"]
FRAMEWORKS: tuple[Framework, ...] = ("torch", "jax")


# ---------------------------------------------------------------- the command

_SOME: Mapping[str, Mapping[str, Any]] = {
    "--framework": {"choices": FRAMEWORKS, "action": "append", "help": "one of the two only"},
    "--every": {"action": "store_true", "help": "also the slower programs by hand"},
    "--case": {"type": int, "action": "append", "help": "one of the cases only, counted from 0"},
}


def command(name: str, about: str, *some: str) -> argparse.ArgumentParser:
    """The parser of `python -m benchmarks.NAME` with the options of every command that times in rounds, and some of those that
    several have: `--framework`, `--every`, `--case`."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=_rounds, default=FEWEST_ROUNDS, help=f"at least {FEWEST_ROUNDS}")
    add_machine_options(parser)
    for option in some:
        parser.add_argument(option, **_SOME[option])
    return parser


def add_machine_options(parser: argparse.ArgumentParser, otherwise: str = "a table") -> None:
    """`--json` instead of what is printed otherwise, and `--core`."""
    parser.add_argument("--json", action="store_true", help=f"print JSON instead of {otherwise}")
    parser.add_argument("--core", type=int, help="the core to pin to; the last one by default")


def _rounds(text: str) -> int:
    rounds = int(text)
    if rounds < FEWEST_ROUNDS:
        raise argparse.ArgumentTypeError(f"at least {FEWEST_ROUNDS} rounds: with fewer the interval says little")
    return rounds


def pinned(chosen: argparse.Namespace, packages: Iterable[str]) -> dict[str, Any]:
    """Pins this process as it was asked for; what the figures are measured on."""
    return machine(pin_to_one_core(chosen.core), packages) | {"rounds": chosen.rounds}


# ---------------------------------------------------------------- one core, one thread


def pin_to_one_core(core: int | None = None) -> int:
    """Bind this process to one core and every numerical library to one thread; return the core.

    Freed memory is kept by the process. Otherwise the C library gives it back to the system depending on the
    largest block freed so far, and every program would pay page faults that depend on what ran before it.

    Raises: RuntimeError if a library that reads its thread count at import is loaded already.
    """
    loaded = [name for name in _NUMERICAL_LIBRARIES if name in sys.modules]
    if loaded:
        raise RuntimeError(f"pin before {', '.join(loaded)} is imported: the number of threads is read at import")
    os.environ.update(_ONE_THREAD)
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_ONE_THREAD_XLA}".strip()
    allowed = os.sched_getaffinity(0)
    chosen = max(allowed) if core is None else core
    if chosen not in allowed:
        raise RuntimeError(f"core {chosen} is not one of those this process may use: {sorted(allowed)}")
    os.sched_setaffinity(0, {chosen})
    _keep_freed_memory()
    return chosen


def _keep_freed_memory() -> None:
    """Set glibc's two thresholds high; nothing to do with another C library."""
    trim_threshold, mmap_threshold, high = -1, -3, 1 << 30
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(trim_threshold, high)
        set_option(mmap_threshold, high)


def machine(core: int, packages: Iterable[str]) -> dict[str, Any]:
    """What a reader needs to judge the numbers: processor, load, versions."""
    return {
        "processor": _processor(),
        "core": core,
        "load": list(os.getloadavg()),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


# ---------------------------------------------------------------- timing


@dataclass(frozen=True)
class Timings:
    """CPU seconds a call, one number a round, of every program; rounds are the same for all."""

    seconds: Mapping[str, tuple[float, ...]]

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def fastest(self, names: Iterable[str]) -> str:
        """The program with the smallest median."""
        return min(names, key=self.median)

    def ratios(self, slower: str, ours: str) -> tuple[float, ...]:
        """`slower / ours` in each round: above 1 where ours is faster."""
        return tuple(a / b for a, b in zip(self.seconds[slower], self.seconds[ours], strict=True))


def interleave(programs: Mapping[str, Run], rounds: int, at_least: float = 0.02, seed: int = 0) -> Timings:
    """Time every program once a round, in an order drawn anew for each round.

    A program is called often enough within a round to take `at_least` CPU seconds, so that the clock's
    step and the loop around the call do not show.
    """
    repetitions = {name: _repetitions(run, at_least) for name, run in programs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    order, draw = list(programs), random.Random(seed)
    gc_was_on = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            draw.shuffle(order)
            gc.collect()
            for name in order:
                seconds[name].append(_cpu_seconds(programs[name], repetitions[name]) / repetitions[name])
    finally:
        if gc_was_on:
            gc.enable()
    return Timings({name: tuple(values) for name, values in seconds.items()})


def _repetitions(run: Run, at_least: float) -> int:
    """How many calls take `at_least` CPU seconds, after two calls that compile and warm the caches."""
    _cpu_seconds(run, 2)
    count = 1
    while (spent := _cpu_seconds(run, count)) < at_least / 4:
        count *= 2
    return max(1, math.ceil(at_least * count / spent))


def _cpu_seconds(run: Run, count: int) -> float:
    start = time.process_time()
    for _ in range(count):
        run()
    return time.process_time() - start


# ---------------------------------------------------------------- statistics


@dataclass(frozen=True)
class Interval:
    """The median of the ratios of all rounds, with the 95 % interval of that median."""

    median: float
    low: float
    high: float


def median_interval(ratios: Sequence[float], resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """Percentile bootstrap of the median over rounds.

    Shapes: ratios [round].
    """
    draw, n = random.Random(seed), len(ratios)
    medians = sorted(statistics.median(draw.choices(ratios, k=n)) for _ in range(resamples))
    return Interval(statistics.median(ratios), _quantile(medians, 0.025), _quantile(medians, 0.975))


def _quantile(ordered: Sequence[float], q: float) -> float:
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


Standing: TypeAlias = Literal["faster", "tie", "slower"]
Verdict: TypeAlias = Literal["met", "missed", "no bar"]


@dataclass(frozen=True)
class Bar:
    """What a ratio must reach; missed only where the whole interval is on the wrong side."""

    value: float
    kind: Literal["at least", "at most"] = "at least"

    def verdict(self, ratio: Interval) -> Verdict:
        missed = ratio.high < self.value if self.kind == "at least" else ratio.low > self.value
        return "missed" if missed else "met"

    def __str__(self) -> str:
        return f"{'≥' if self.kind == 'at least' else '≤'} {self.value:g}"


@dataclass(frozen=True)
class Row:
    """One comparison: a rival's time over ours, and whether that reaches the bar."""

    case: str
    task: str
    ours: str
    rival: str
    ours_ms: float
    rival_ms: float
    ratio: Interval
    bar: Bar | None = None

    @property
    def standing(self) -> Standing:
        if self.ratio.median >= TIE:
            return "faster"
        return "slower" if self.ratio.median <= 1 / TIE else "tie"

    @property
    def verdict(self) -> Verdict:
        return "no bar" if self.bar is None else self.bar.verdict(self.ratio)


def compare(timings: Timings, case: str, task: str, ours: str, rival: str, bar: Bar | None = None) -> Row:
    """The row for `rival / ours`."""
    ratio = median_interval(timings.ratios(rival, ours))
    return Row(case, task, ours, rival, timings.median(ours) * 1e3, timings.median(rival) * 1e3, ratio, bar)


# ---------------------------------------------------------------- telling


def show_rows(title: str, rows: Sequence[Row], context: Mapping[str, Any]) -> None:
    """Print the comparisons as one table, with what they were measured on."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, caption=_caption(context), caption_justify="left", title_justify="left")
    for name in ("case", "task", "ours", "rival"):
        table.add_column(name)
    for name in ("ours ms", "rival ms", "rival / ours", "95 %"):
        table.add_column(name, justify="right")
    for name in ("", "bar", "verdict"):
        table.add_column(name)
    colour = {"met": "green", "missed": "bold red", "no bar": "dim"}
    for row in rows:
        table.add_row(
            row.case,
            row.task,
            row.ours,
            row.rival,
            f"{row.ours_ms:.3f}",
            f"{row.rival_ms:.3f}",
            f"{row.ratio.median:.2f}",
            f"{row.ratio.low:.2f} to {row.ratio.high:.2f}",
            row.standing,
            "" if row.bar is None else str(row.bar),
            f"[{colour[row.verdict]}]{'' if row.bar is None else row.verdict}",
        )
    Console(width=None if sys.stdout.isatty() else 180).print(table)


def _caption(context: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in context["packages"].items())
    return (
        f"CPU time of one pinned core, {context['rounds']} interleaved rounds; "
        f"between {1 / TIE:.2f} and {TIE} is a tie.\n"
        f"{context['processor']}, load {context['load'][0]:.1f}; Python {context['python']}, {packages}"
    )


def rows_as_json(rows: Sequence[Row], context: Mapping[str, Any], **more: Any) -> str:
    """Everything that the table shows, for a machine."""
    told = [asdict(row) | {"standing": row.standing, "verdict": row.verdict} for row in rows]
    return json.dumps({"context": dict(context), "rows": told, **more}, indent=2, ensure_ascii=False)


def tell(
    chosen: argparse.Namespace,
    title: str,
    rows: Sequence[Row],
    context: Mapping[str, Any],
    beside: Iterable[object] = (),
    **more: Any,
) -> int:
    """Print the comparisons, as a table with the lines `beside` below it or, with `more`, as JSON; the code to exit with."""
    if chosen.json:
        print(rows_as_json(rows, context, **more))
    else:
        show_rows(title, rows, context)
        for line in beside:
            print(line)
    return exit_code(row.verdict for row in rows)


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """1 where a bar is missed, else 0."""
    return int("missed" in tuple(verdicts))
