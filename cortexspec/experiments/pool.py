"""Tasks on worker processes: results as they come, a lost worker's task again, nothing lost when the caller stops.

Workers are started afresh (never forked: torch and jax hold threads), each with one thread for its arithmetic.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")
# XLA's own pool has as many threads as NPROC says.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NPROC")
_ATTEMPTS = 3


def run_all(
    work: Callable[[Task], Outcome], tasks: Sequence[Task], workers: int | None = None, executor: Executor | None = None
) -> Iterator[tuple[Task, Outcome]]:
    """Each task with its outcome, in the order they finish.

    A worker that dies takes the pool with it: the pool is made again and what was not finished runs again, at most three times a
    task. `work` and the tasks must be picklable. With `workers = 0` everything runs in this process.
    Raises: whatever `work` raises; RuntimeError for a task that killed its worker three times.
    """
    if workers == 0:
        for task in tasks:
            yield task, work(task)
        return
    if executor is not None:
        futures = {executor.submit(work, task): task for task in tasks}
        for future in as_completed(futures):
            yield futures[future], future.result()
        return
    attempts = dict.fromkeys(range(len(tasks)), 0)
    waiting = set(attempts)
    while waiting:
        for number in waiting:
            attempts[number] += 1
            if attempts[number] > _ATTEMPTS:
                raise RuntimeError(f"a task killed its worker {_ATTEMPTS} times: {tasks[number]}")
        for number, outcome in _one_pool(work, tasks, sorted(waiting), workers):
            waiting.discard(number)
            yield tasks[number], outcome


def _one_pool(
    work: Callable[[Task], Outcome], tasks: Sequence[Task], waiting: Sequence[int], workers: int | None
) -> Iterator[tuple[int, Outcome]]:
    count = min(workers or available_cores(), len(waiting))
    with ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        futures: dict[Future[Any], int] = {pool.submit(work, tasks[number]): number for number in waiting}
        try:
            for future in as_completed(futures):
                try:
                    yield futures[future], future.result()
                except BrokenProcessPool:
                    return
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _one_thread() -> None:
    for name in _THREADS:
        os.environ[name] = "1"
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
