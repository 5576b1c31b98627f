"""One incarnation of an engine process: its pipe, its process, its death."""

import asyncio
import contextlib
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

from service.engine.config import EngineConfig
from service.engine.frames import FrameReader, framed
from service.engine.large_pages import large_pages
from service.engine.messages import (
    Fatal,
    FromEngine,
    Load,
    Ready,
    Step,
    Stop,
    ToEngine,
    decode_from_engine,
    to_frames,
)

_PROJECT_ROOT = Path(__file__).resolve().parents[2]
_STDERR_FD = 2
# What a dead process wrote is here at once, unless the event loop is busy.
_LAST_WORDS_S = 1.0
_READ_BYTES = 65536

OnMessage = Callable[[Ready | Step], None]


class _Link(asyncio.Protocol):
    """Our `end` of the pipe: each message is taken as it comes, without a task in between."""

    def __init__(self, on_message: OnMessage, end: socket.socket) -> None:
        self._on_message = on_message
        self._end = end
        self._reader = FrameReader()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.refusal: str | None = None
        self.closed = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        with self._end:
            if exc is not None:
                # A transport that could not write has stopped reading, too.
                self._take_the_rest()
        self.closed.set()

    def _take_the_rest(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._end.recv(_READ_BYTES):
                self.data_received(data)

    def data_received(self, data: bytes) -> None:
        if self.lost.done():
            return
        try:
            for frame in self._reader.feed(data):
                self._take(decode_from_engine(frame))
        except Exception as error:  # noqa: BLE001 - whatever broke, this engine can't be heard any more
            self._lose(f"lost: {type(error).__name__}: {error}")

    def _take(self, message: FromEngine) -> None:
        if isinstance(message, Fatal):
            self.refusal = message.message if message.is_refusal else None
            self._lose(message.message)
        else:
            self._on_message(message)

    def _lose(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)


class Child:
    """A running engine process; made by `Child.spawn`."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        link: _Link,
        transport: asyncio.WriteTransport,
        directory: str,
    ) -> None:
        self._process = process
        self._link = link
        self._transport = transport
        self._directory = directory

    @classmethod
    async def spawn(cls, config: EngineConfig, python: str | None, on_message: OnMessage) -> "Child":
        """Start a process under `python` (default: this one) and tell it what to load.

        Raises:
            OSError: it can't be started.
        """
        # mkdtemp makes the folder 0700: no other user of the machine can read what the child leaves in it.
        directory = tempfile.mkdtemp(prefix="tiber-serve-")
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await _start(python or sys.executable, directory, theirs.fileno())
            loop = asyncio.get_running_loop()
            transport, link = await loop.create_unix_connection(
                lambda: _Link(on_message, ours.dup()), sock=ours
            )
        except BaseException:
            # A child that runs already ends by itself when its pipe closes.
            ours.close()
            shutil.rmtree(directory, ignore_errors=True)
            raise
        child = cls(process, link, cast("asyncio.WriteTransport", transport), directory)
        child.send(Load(config))
        return child

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def refusal(self) -> str | None:
        """Why no process can load this model with these settings; None unless this one said so."""
        return self._link.refusal

    def send(self, message: ToEngine) -> None:
        """Send without waiting; to a child that is gone, nothing: its supervisor is about to learn of it."""
        if self._transport.is_closing():
            return
        self._transport.writelines([part for frame in to_frames(message) for part in framed(frame)])

    async def wait_lost(self) -> str:
        """Wait until the process says that it can't go on, or can't be understood; return why."""
        return await asyncio.shield(self._link.lost)

    async def wait(self) -> str:
        """Wait for the process to end and for its last messages; return why it ended, in its words if any."""
        status = await self._process.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._link.closed.wait(), _LAST_WORDS_S)
        if self._link.lost.done():
            return self._link.lost.result()
        return f"killed by signal {-status}" if status < 0 else f"ended with status {status}"

    async def stop(self, timeout_s: float) -> None:
        """Ask the process to end, kill it when it takes longer than `timeout_s`, free what it used."""
        if self._process.returncode is None:
            self.send(Stop())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), timeout_s)
        await self.destroy()

    async def destroy(self) -> None:
        """Kill the process if it lives, and free what it used."""
        try:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()
        finally:
            self._transport.abort()
            shutil.rmtree(self._directory, ignore_errors=True)


async def _start(python: str, directory: str, descriptor: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        python,
        "-m",
        "service.engine.worker",
        str(descriptor),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=_STDERR_FD,
        pass_fds=(descriptor,),
        env=_environment(directory),
        # Out of the terminal's process group, so that Ctrl-C is ours alone to handle.
        start_new_session=True,
    )


def _environment(directory: str) -> dict[str, str]:
    """Our own environment, with this package importable under any interpreter.

    What the child leaves in its folder for temporary files goes when the child goes, however it ends.
    """
    paths = [str(_PROJECT_ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        **large_pages(os.environ),
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "TMPDIR": directory,
    }
