"""The pool of processes: a worker that dies is replaced, its call runs again, and nobody outlives the pool."""

import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cortexspec.experiments.pool import LocalPool, LostWorker

ORPHAN = """
import os, sys, time
from cortexspec.experiments.pool import LocalPool
if __name__ == "__main__":
    pool = LocalPool(1)
    pool.submit(time.sleep, 60)
    while not pool.processes(): time.sleep(0.01)
    print(pool.processes()[0], flush=True)
    time.sleep(60)
"""


def test_calls_give_what_they_give_and_raise_what_they_raise() -> None:
    with LocalPool(2) as pool:
        sums = [pool.submit(operator.add, number, 1) for number in range(5)]
        wrong = pool.submit(operator.truediv, 1, 0)
        assert [one.result(60) for one in sums] == [1, 2, 3, 4, 5]
        with pytest.raises(ZeroDivisionError):
            wrong.result(60)
        assert len(pool.processes()) == 2 and os.getpid() not in pool.processes()
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(operator.add, 1, 1)


def test_a_killed_worker_is_replaced_and_its_call_runs_again() -> None:
    with LocalPool(1) as pool:
        first = pool.submit(os.getpid).result(60)
        slow = pool.submit(time.sleep, 0.5)
        other = pool.submit(operator.add, 1, 1)
        while not slow.running():
            time.sleep(0.01)
        time.sleep(0.1)
        os.kill(first, signal.SIGKILL)
        assert slow.result(60) is None and other.result(60) == 2
        assert pool.processes() != [first]


def test_a_call_that_always_kills_its_worker_is_given_up_and_harms_no_other() -> None:
    with LocalPool(1) as pool:
        deadly = pool.submit(os._exit, 3)
        other = pool.submit(operator.add, 1, 1)
        with pytest.raises(LostWorker, match="died 3 times, the last time with exit code 3"):
            deadly.result(60)
        assert other.result(60) == 2


def test_a_pool_that_is_stopped_ends_its_workers_at_once() -> None:
    pool = LocalPool(1)
    slow, waiting = pool.submit(time.sleep, 60), pool.submit(time.sleep, 60)
    while not pool.processes():
        time.sleep(0.01)
    started = time.monotonic()
    pool.stop()
    assert time.monotonic() - started < 10
    assert waiting.cancelled() and isinstance(slow.exception(10), LostWorker)


def test_workers_leave_when_the_process_that_started_them_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "orphan.py"
    script.write_text(ORPHAN, encoding="utf-8")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    for _ in range(500):
        if not alive(worker):
            return
        time.sleep(0.02)
    raise AssertionError("the worker is still there")


def alive(process: int) -> bool:
    """Not gone, and not a zombie that nobody waits for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
