"""One incarnation of an engine process: its socket, its process, its death."""

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import zmq
import zmq.asyncio

from service.engine.config import EngineConfig
from service.engine.messages import FromEngine, Load, Stop, ToEngine, decode_from_engine, to_frames

_PROJECT_ROOT = Path(__file__).resolve().parents[2]
_STDERR_FD = 2


class Child:
    """A running engine process; made by `Child.spawn`."""

    def __init__(
        self, process: asyncio.subprocess.Process, socket: "zmq.asyncio.Socket", directory: str
    ) -> None:
        self._process = process
        self._socket = socket
        self._directory = directory

    @classmethod
    async def spawn(cls, config: EngineConfig, python: str | None, context: "zmq.asyncio.Context") -> "Child":
        """Start a process under `python` (default: this one) and tell it what to load."""
        # mkdtemp makes the folder 0700: no other user of the machine can reach the socket.
        directory = tempfile.mkdtemp(prefix="tiber-serve-")
        endpoint = _endpoint(directory)
        socket = context.socket(zmq.PAIR)
        socket.linger = 0
        socket.bind(endpoint)
        try:
            process = await _start(python or sys.executable, directory)
        except OSError:
            _free(socket, directory)
            raise
        child = cls(process, socket, directory)
        child.send(Load(config))
        return child

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, message: ToEngine) -> None:
        """Send without waiting: the socket queues, bounded by the number of open requests."""
        # The future is done already unless the queue is full; it needs no reader.
        self._socket.send_multipart(to_frames(message), copy=False)

    async def receive(self) -> FromEngine:
        """Wait for the next message."""
        payload: bytes = await self._socket.recv()
        return decode_from_engine(payload)

    async def wait(self) -> int:
        """Wait for the process to end; return its exit status (negative: killed by that signal)."""
        return await self._process.wait()

    async def stop(self, timeout_s: float) -> None:
        """Ask the process to end, kill it when it takes longer than `timeout_s`, free what it used."""
        if self._process.returncode is None:
            self.send(Stop())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), timeout_s)
        await self.destroy()

    async def destroy(self) -> None:
        """Kill the process if it lives, and free what it used."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        _free(self._socket, self._directory)


async def _start(python: str, directory: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        python,
        "-m",
        "service.engine.worker",
        _endpoint(directory),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=_STDERR_FD,
        env=_environment(directory),
        # Out of the terminal's process group, so that Ctrl-C is ours alone to handle.
        start_new_session=True,
    )


def _free(socket: "zmq.asyncio.Socket", directory: str) -> None:
    socket.close()
    shutil.rmtree(directory, ignore_errors=True)


def _endpoint(directory: str) -> str:
    return f"ipc://{directory}/engine"


def _environment(directory: str) -> dict[str, str]:
    """Our own environment, with this package importable under any interpreter.

    What the child leaves in its folder for temporary files goes when the child goes, however it ends.
    """
    paths = [str(_PROJECT_ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "TMPDIR": directory,
    }
