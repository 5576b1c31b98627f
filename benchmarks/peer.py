"""A child process that does one job at a time; between jobs it only waits on a pipe."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Generic, TypeVar, cast

from benchmarks.errors import BenchmarkError
from service.engine.large_pages import large_pages

Job = TypeVar("Job")
Result = TypeVar("Result")

_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class _Broken:
    """What the child sends in place of a result."""

    reason: str


class Peer(Generic[Job, Result]):
    """Our end. `target` runs in the child with the other end and `arguments`, and says when it is ready."""

    def __init__(self, target: Callable[..., None], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
        # An engine alone has what the service gives to its own.
        added = large_pages(os.environ)
        os.environ.update(added)
        try:
            self._process.start()
        finally:
            for name in added:
                del os.environ[name]
        theirs.close()

    @property
    def pid(self) -> int:
        """The child's process id."""
        assert self._process.pid is not None  # noqa: S101 - it was started
        return self._process.pid

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until the child has prepared itself. Raises: as `receive`."""
        self._receive(timeout_s)

    def send(self, job: Job) -> None:
        """Give the child a job. Raises: BenchmarkError when it is gone."""
        try:
            self._connection.send(job)
        except OSError as error:
            raise BenchmarkError(f"{self._process.name} is gone: {error}") from error

    def receive(self, timeout_s: float) -> Result:
        """Wait for the job's result.

        Raises:
            BenchmarkError: the child failed, died, or took longer than `timeout_s`.
        """
        return cast("Result", self._receive(timeout_s))

    def run(self, job: Job, timeout_s: float) -> Result:
        """Send a job, wait for its result. Raises: as `receive`."""
        self.send(job)
        return self.receive(timeout_s)

    def close(self) -> None:
        """End the child."""
        self._connection.close()
        self._process.join(_STOP_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _receive(self, timeout_s: float) -> object:
        try:
            if not self._connection.poll(timeout_s):
                raise BenchmarkError(f"{self._process.name} said nothing for {timeout_s:g} s")
            result: object = self._connection.recv()
        except (EOFError, ConnectionError) as error:
            raise BenchmarkError(f"{self._process.name} died") from error
        if isinstance(result, _Broken):
            raise BenchmarkError(result.reason)
        return result


def serve_jobs(connection: Connection, prepare: Callable[[], Callable[[Job], Result]]) -> None:
    """Be the child: prepare, say so, then answer each job until the other end closes.

    A job that fails of the server it talks to ends alone: the next one may be for another server. Any other
    error ends the child, for what it prepared, such as an engine, may be broken.
    """
    # Ctrl-C reaches the whole process group: the parent ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        do = prepare()
        connection.send(None)
        while True:
            connection.send(_try(do, connection.recv()))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:  # noqa: BLE001 - the process's border: the parent tells
        connection.send(_broken(error))


def _try(do: Callable[[Job], Result], job: Job) -> Result | _Broken:
    try:
        return do(job)
    except BrokenPipeError:
        # Our own pipe's: clients tell theirs as a reply that failed.
        raise
    except (BenchmarkError, OSError) as error:
        return _broken(error)


def _broken(error: Exception) -> _Broken:
    if isinstance(error, BenchmarkError):
        return _Broken(error.message)
    return _Broken(f"{multiprocessing.current_process().name}: {type(error).__name__}: {error}")
