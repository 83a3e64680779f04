"""Where the cells of a sweep run: processes of this machine, Dask, Slurm, or any other `concurrent.futures.Executor`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.experiments.pool import ATTEMPTS, LocalPool, LostWorker, available_cores

NAMES = ("local", "dask", "slurm")
_POLL_SECONDS = 0.5
_GATHER_SECONDS = 0.2  # submissions that come this close together are one job array


@contextmanager
def opened(executor: Executor | str, workers: int | None, folder: Path) -> Generator[Executor]:
    """An executor by its name, closed at the end; one that is given as an object stays open.

    `local`; `dask` (a cluster of processes on this machine) or `dask:ADDRESS` (of a scheduler that runs); `slurm` or
    `slurm:NAME=VALUE,..` with settings of submitit, such as `partition`, `timeout_min`, `mem_gb`. `workers`: how many cells run at one
    time. `folder`: where jobs keep their logs. Where the block is left by an exception, what runs is stopped.
    Raises: SpecError CS942 for a name that is not known, a package that is not installed, and a scheduler that does not answer.
    """
    if isinstance(executor, Executor):
        yield executor
        return
    name, _, rest = executor.partition(":")
    if name not in NAMES:
        near = get_close_matches(name, NAMES, 1)
        help = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(NAMES)}"
        raise SpecError([Diagnostic("CS942", f"there is no executor `{name}`", help=help)])
    match name:
        case "dask":
            with _dask(rest, workers) as found:
                yield found
        case "slurm":
            with _closing(_slurm(_settings(rest), workers, folder)) as found:
                yield found
        case _:
            with _closing(LocalPool(workers)) as found:
                yield found


@contextmanager
def _closing(executor: Any) -> Generator[Executor]:
    try:
        yield executor
    except BaseException:
        executor.stop()
        raise
    executor.shutdown()


@contextmanager
def _dask(address: str, workers: int | None) -> Generator[Executor]:
    """Raises: SpecError CS942."""
    distributed = _needed("distributed", "dask")
    cluster: Any = None
    if not address:
        cluster = distributed.LocalCluster(
            n_workers=workers or available_cores(),
            threads_per_worker=1,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        )
    try:
        client = distributed.Client(address or cluster)
    except (OSError, ValueError) as error:
        message = f"the Dask scheduler at `{address}` does not answer: {error}"
        raise SpecError([Diagnostic("CS942", message, help="`dask scheduler` prints its address")]) from None
    executor = client.get_executor(pure=False)
    fine = False
    try:
        yield executor
        fine = True
    finally:
        executor.shutdown(wait=fine)
        client.close()
        if cluster is not None:
            cluster.close()


def _slurm(settings: Mapping[str, Any], workers: int | None, folder: Path) -> SubmititExecutor:
    """Raises: SpecError CS942."""
    submitit = _needed("submitit", "slurm")
    given = dict(settings)
    cluster = str(given.pop("cluster", "slurm"))
    try:
        inner = submitit.AutoExecutor(folder=folder / "jobs", cluster=cluster)
        if cluster == "slurm":
            at_once = {} if workers is None else {"array_parallelism": workers}
            given = {_slurm_name(name): value for name, value in {"cpus_per_task": 1, **at_once, **given}.items()}
        inner.update_parameters(**{"name": "cortexspec", "timeout_min": 60, **given})
    except (RuntimeError, ValueError, NameError, TypeError) as error:
        message = f"the executor `slurm` cannot be set up: {error}"
        raise SpecError([Diagnostic("CS942", message, help="`slurm` needs the commands of a Slurm cluster")]) from None
    return SubmititExecutor(inner, None if cluster == "slurm" else workers or available_cores())


def _slurm_name(name: str) -> str:
    """submitit's shared settings keep their names; those of Slurm alone are marked."""
    shared = ("name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node")
    return name if name in shared or name.startswith("slurm_") else f"slurm_{name}"


def _settings(text: str) -> dict[str, Any]:
    """`partition=cpu,timeout_min=60` as a mapping, whole numbers as such. Raises: SpecError CS942."""
    found: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = (one.strip() for one in part.partition("="))
        if not (name and equals and value):
            message = f"`{part}` is no setting of the executor `slurm`"
            raise SpecError([Diagnostic("CS942", message, help="write `slurm:partition=cpu,timeout_min=60`")])
        found[name] = int(value) if value.isdecimal() else value
    return found


def _needed(module: str, extra: str) -> Any:
    """Raises: SpecError CS942 naming the extra that brings a module."""
    try:
        return import_module(module)
    except ModuleNotFoundError:
        message = f"the executor `{extra}` needs the package `{module}`, which is not installed"
        help = f'pip install "cortexspec[{extra}]"'
        raise SpecError([Diagnostic("CS942", message, help=help)]) from None


class SubmititExecutor(Executor):
    """An executor of submitit as one of `concurrent.futures`: what is submitted together is one job array.

    A job that ends without an answer (killed, preempted, out of time) is submitted again, three times in all. `at_once`: how many
    jobs may be under way; None leaves it to the cluster.
    """

    def __init__(self, inner: Any, at_once: int | None = None):
        self._inner = inner
        self._at_once = at_once
        self._arriving: SimpleQueue[_Job] = SimpleQueue()
        self._closed = False
        self._stopped = False
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self._closed:
            raise RuntimeError("the executor is shut down")
        future: Future[Any] = Future()
        self._arriving.put(_Job(future, fn, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._stopped = self._stopped or cancel_futures
        self._closed = True
        if wait:
            self._thread.join()

    def stop(self) -> None:
        """Cancels what waits and what runs."""
        self.shutdown(cancel_futures=True)

    def _serve(self) -> None:
        waiting: list[_Job] = []
        running: list[_Job] = []
        while True:
            waiting += self._arrived()
            if self._stopped:
                return _cancel(waiting, running)
            room = len(waiting) if self._at_once is None else self._at_once - len(running)
            begun, waiting = waiting[: max(room, 0)], waiting[max(room, 0) :]
            running += self._begin([job for job in begun if job.begin()])
            over = [job for job in running if job.ended()]
            running = [job for job in running if job not in over]
            waiting += [job for job in over if not job.future.done()]
            if self._closed and not (waiting or running) and self._arriving.empty():
                return
            time.sleep(_POLL_SECONDS if running else _GATHER_SECONDS)

    def _arrived(self) -> list[_Job]:
        """What was submitted; a little later where something was, for the rest of it."""
        found: list[_Job] = []
        while True:
            before = len(found)
            try:
                while True:
                    found.append(self._arriving.get_nowait())
            except Empty:
                if len(found) == before:
                    return found
            time.sleep(_GATHER_SECONDS)

    def _begin(self, jobs: Sequence[_Job]) -> list[_Job]:
        """Hands jobs to the cluster, as one array."""
        if not jobs:
            return []
        try:
            with self._inner.batch():
                for job in jobs:
                    job.handle = self._inner.submit(job.function, *job.args, **job.kwargs)
        except Exception as error:  # such as sbatch refusing a setting
            for job in jobs:
                job.future.set_exception(RuntimeError(f"the job was refused: {error}"))
            return []
        return list(jobs)


class _Job:
    def __init__(self, future: Future[Any], function: Callable[..., Any], args: Any, kwargs: Any):
        self.future, self.function, self.args, self.kwargs = future, function, args, kwargs
        self.handle: Any = None
        self.attempts = 0

    def begin(self) -> bool:
        """Whether it is to run: not where somebody cancelled it."""
        self.attempts += 1
        return self.attempts > 1 or self.future.set_running_or_notify_cancel()

    def ended(self) -> bool:
        """Whether its job is over; then its future is done, or the job is to be tried again."""
        lost = import_module("submitit").core.utils.UncompletedJobError
        if not self.handle.done():
            return False
        try:
            self.future.set_result(self.handle.result())
        except lost as error:
            if self.attempts >= ATTEMPTS:
                last = str(error).strip().splitlines()[0]
                self.future.set_exception(LostWorker(f"its job ended {self.attempts} times without an answer: {last}"))
        except Exception as error:
            self.future.set_exception(error)
        return True


def _cancel(waiting: Sequence[_Job], running: Sequence[_Job]) -> None:
    for job in running:
        job.handle.cancel(check=False)
    for job in [*running, *waiting]:
        if job.future.cancel():
            job.future.set_running_or_notify_cancel()
        else:
            job.future.set_exception(LostWorker("the executor was stopped"))
