"""Processes of this machine as an executor that heals: a worker that dies is replaced, and what it ran runs again.

Workers are started afresh (never forked: torch and jax hold threads), each with one thread for its arithmetic. They leave when the
process that started them is gone, however it went.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any

# XLA's own pool has as many threads as NPROC says.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NPROC")
ATTEMPTS = 3


class LostWorker(RuntimeError):
    """A call whose worker died under it as often as it was tried."""


@dataclass(frozen=True, slots=True)
class _Call:
    future: Future[Any]
    message: bytes


@dataclass(frozen=True, slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection


class LocalPool(Executor):
    """`workers` processes (default: one a core). A call whose worker dies is tried again, `attempts` times in all.

    One worker's death touches no other: each has a pipe of its own, and a thread here that waits for it. Functions and
    arguments must be picklable.
    """

    def __init__(self, workers: int | None = None, attempts: int = ATTEMPTS):
        self.workers = workers or available_cores()
        self._attempts = attempts
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._alive: dict[int, _Worker] = {}  # by thread
        self._lock = Lock()
        self._closed = False
        self._stopped = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Raises: RuntimeError after `shutdown`; whatever pickle raises for what cannot be sent to a worker."""
        call = _Call(Future(), pickle.dumps((fn, args, kwargs)))
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is shut down")
            self._calls.put(call)
            if len(self._threads) < self.workers:
                thread = Thread(target=self._serve, args=(len(self._threads),), daemon=True)
                self._threads.append(thread)
                thread.start()
        return call.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls. With `cancel_futures` those that have not begun never do."""
        with self._lock:
            if not self._closed:
                self._closed = True
                if cancel_futures:
                    self._cancel_waiting()
                for _ in self._threads:
                    self._calls.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def stop(self) -> None:
        """Ends the workers at once, whatever they do, and cancels what has not begun."""
        with self._lock:
            self._stopped = True
            self._cancel_waiting()
            for worker in self._alive.values():
                worker.process.kill()
        self.shutdown()

    def processes(self) -> list[int]:
        """The ids of the workers' processes."""
        with self._lock:
            return [worker.process.pid for worker in self._alive.values() if worker.process.pid is not None]

    def _cancel_waiting(self) -> None:
        try:
            while True:
                call = self._calls.get_nowait()
                if call is not None:
                    call.future.cancel()
                    call.future.set_running_or_notify_cancel()
        except Empty:
            return

    def _serve(self, place: int) -> None:
        """Hands calls to one worker, one after the other."""
        while (call := self._calls.get()) is not None:
            if not call.future.set_running_or_notify_cancel():
                continue
            try:
                fine, value = self._answer(place, call.message)
            except Exception as error:
                fine, value = False, error
            if fine:
                call.future.set_result(value)
            else:
                call.future.set_exception(value)
        worker = self._alive.get(place)
        if worker is not None:
            worker.pipe.close()
            worker.process.join()

    def _answer(self, place: int, message: bytes) -> tuple[bool, Any]:
        """What the function gave or raised. Raises: LostWorker."""
        ended = ""
        for _ in range(self._attempts):
            worker = self._worker(place)
            try:
                worker.pipe.send_bytes(message)
                return pickle.loads(worker.pipe.recv_bytes())
            except (EOFError, OSError):
                ended = _how_it_ended(worker.process)
        raise LostWorker(f"its worker died {self._attempts} times, the last time {ended}")

    def _worker(self, place: int) -> _Worker:
        """The worker of a thread, or a new one where it is dead. Raises: LostWorker after `stop`."""
        worker = self._alive.get(place)
        if worker is not None and worker.process.is_alive():
            return worker
        with self._lock:
            if self._stopped:
                raise LostWorker("the pool was stopped")
            ours, theirs = get_context("spawn").Pipe()
            process = get_context("spawn").Process(target=_work, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._alive[place] = _Worker(process, ours)
        return self._alive[place]


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _how_it_ended(process: BaseProcess) -> str:
    process.join(timeout=10)
    code = process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"by {name}" + (" (killed, or out of memory)" if name == "SIGKILL" else "")
    return f"with exit code {code}"


def _work(pipe: Connection) -> None:
    """A worker's life: calls from the pipe, answers into it, until the other end is closed."""
    _one_thread()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the sweep decides what it means
    Thread(target=_leave_with_parent, daemon=True).start()
    while True:
        try:
            message = pipe.recv_bytes()
        except EOFError:
            return
        pipe.send_bytes(_called(message))


def _called(message: bytes) -> bytes:
    try:
        function, args, kwargs = pickle.loads(message)
        return pickle.dumps((True, function(*args, **kwargs)))
    except Exception as error:
        try:
            answer = pickle.dumps((False, error))
            pickle.loads(answer)  # an exception with arguments of its own may not come back
            return answer
        except Exception:
            return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))


def _leave_with_parent() -> None:
    """A worker in the middle of a long call would otherwise outlive a sweep that was killed."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _one_thread() -> None:
    for name in _THREADS:
        os.environ[name] = "1"
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
