"""A sweep that is killed again and again gives the table of one that is left alone.

    python -m benchmarks.kill specs/infoflux --profile smoke --backend interpreter --kills 20

Runs the sweep once undisturbed. Then it runs it in another folder and kills, at random times while cells run, a worker or the sweep
itself, which is started again; after the last kill it is left to finish. Compares every number of the claims and of the cells: bit for
bit, or with `--tolerance` (relative) for backends whose sums may be ordered differently. Prints what was killed and when; exit code
1 where the tables differ.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-c", "from cortexspec.cli import app; app()", "reproduce")
RUNNING = ".running"


@dataclass(frozen=True)
class Killed:
    """What was killed (`worker` or `sweep`), with how many cells finished before, after how many seconds."""

    what: str
    finished: int
    seconds: float


def table_of(output: str, folder: Path) -> dict[str, Any]:
    """Everything a sweep gave but times: the claims as `--json` prints them, and each cell's measures and history by address."""
    cells: dict[str, Any] = {}
    for path in sorted(folder.glob("??/*.json")):
        record = json.loads(path.read_text("utf-8"))
        history = [{name: value for name, value in one.items() if name != "seconds"} for one in record["history"]]
        cells[path.stem] = {"measures": record["measures"], "diverged": record["diverged"], "history": history}
        arrays = path.with_suffix(".safetensors")
        if arrays.exists():
            cells[path.stem]["arrays"] = arrays.read_bytes().hex()
    return {"claims": json.loads(output), "cells": cells}


def undisturbed(arguments: Sequence[str], folder: Path) -> dict[str, Any]:
    found = subprocess.run(
        [*COMMAND, *arguments, "--json", "--results", str(folder)], stdout=subprocess.PIPE, text=True
    )
    if found.returncode:
        raise SystemExit(f"the undisturbed sweep ended with {found.returncode}:\n{found.stdout}")
    return table_of(found.stdout, folder)


def disturbed(
    arguments: Sequence[str],
    folder: Path,
    kills: Sequence[str],
    draw: random.Random,
    pause: float,
    report: Callable[[Killed], None] = lambda _: None,
) -> dict[str, Any]:
    """The same with one kill for each entry of `kills`, `worker` or `sweep`, each within `pause` seconds from when cells run.

    Ends with a `SystemExit` that says so where the sweep is done before the last kill.
    """
    waiting = list(kills)
    while True:
        sweep = subprocess.Popen(
            [*COMMAND, *arguments, "--json", "--results", str(folder)], stdout=subprocess.PIPE, text=True
        )
        started = time.monotonic()
        try:
            while waiting and _cells_run(sweep, folder):
                time.sleep(draw.uniform(0, pause))
                victim = sweep.pid if waiting[0] == "sweep" else draw.choice([*workers_of(sweep.pid), None])
                if victim is None or sweep.poll() is not None:
                    continue
                finished = len(list(folder.glob("??/*.json")))
                os.kill(victim, signal.SIGKILL)
                report(Killed(waiting.pop(0), finished, time.monotonic() - started))
                if victim == sweep.pid:
                    break
            output, _ = sweep.communicate()
        finally:
            sweep.kill()
            sweep.wait()
        if sweep.returncode in (0, 1):
            if json.loads(output)["failed"]:  # a cell whose worker was killed as often as it was tried; it runs now
                continue
            if waiting:
                done = f"{len(kills) - len(waiting)} of {len(kills)} kills"
                raise SystemExit(f"the sweep was done after {done}: take longer cells or a shorter --pause")
            return table_of(output, folder)


def _cells_run(sweep: subprocess.Popen[str], folder: Path) -> bool:
    """Waits until cells run; False where the sweep ended before."""
    while sweep.poll() is None:
        if any((folder / RUNNING).glob("*")):
            return True
        time.sleep(0.01)
    return False


def workers_of(process: int) -> list[int]:
    """The worker processes of a sweep on Linux."""
    found: list[int] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        found += [int(child) for child in _read(path).split()]
    return [child for child in found if "spawn_main" in _read(Path(f"/proc/{child}/cmdline"))]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it went away
        return ""


def differences(left: Any, right: Any, tolerance: float = 0.0, where: str = "table") -> Iterator[str]:
    """Where two tables differ; numbers by more than `tolerance` of the larger one."""
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted(left.keys() | right.keys()):
            if name not in left or name not in right:
                yield f"{where}.{name} is in one of them only"
            else:
                yield from differences(left[name], right[name], tolerance, f"{where}.{name}")
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for place, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from differences(one, other, tolerance, f"{where}[{place}]")
    elif tolerance and isinstance(left, float | int) and isinstance(right, float | int):
        if not math.isclose(left, right, rel_tol=tolerance, abs_tol=tolerance):
            yield f"{where}: {left!r} and {right!r}"
    elif left != right and not (tolerance and where.endswith(".reason")):  # a reason has rounded numbers in its text
        yield f"{where}: {left!r} and {right!r}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec")
    parser.add_argument(
        "--kills", type=int, default=10, help="how many processes are killed; a third of them the sweep"
    )
    parser.add_argument("--pause", type=float, default=5.0, help="seconds between kills, at most")
    parser.add_argument("--seed", type=int, default=1, help="of what is killed, and when")
    parser.add_argument("--tolerance", type=float, default=0.0, help="0 is bit for bit")
    chosen, arguments = parser.parse_known_args()
    draw = random.Random(chosen.seed)
    kills = [draw.choice(("worker", "worker", "sweep")) for _ in range(chosen.kills)]
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        alone = undisturbed([chosen.spec, *arguments], Path(folder) / "alone")
        print(f"undisturbed: {len(alone['cells'])} cells in {time.monotonic() - started:.0f} s", flush=True)

        def report(one: Killed) -> None:
            print(f"killed a {one.what} after {one.seconds:.1f} s, {one.finished} cells finished", flush=True)

        killed = disturbed([chosen.spec, *arguments], Path(folder) / "killed", kills, draw, chosen.pause, report)
    found = list(differences(alone, killed, chosen.tolerance))
    print("\n".join(found[:20]) or f"the tables are the same ({chosen.tolerance or 'bit for bit'})")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
