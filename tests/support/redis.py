"""A real redis-server for tests."""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from tests.support.server import free_port

_BINARY = shutil.which("redis-server") or "/usr/bin/redis-server"


class RedisServer:
    """A redis-server on a port of its own, which keeps nothing on disk."""

    def __init__(self, folder: Path, *, password: str | None = None) -> None:
        self._folder = folder
        self.password = password
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        secret = f":{self.password}@" if self.password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, empty, on the same port as before; return once it answers."""
        command = [_BINARY, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        command += ["--save", "", "--appendonly", "no"]
        command += ["--requirepass", self.password] if self.password else []
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "redis.log").read_text()
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, with all it knew."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Keep its sockets open, but answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> "redis.Redis":
        """A plain client, to look at what is stored; close it."""
        return redis.Redis.from_url(self.url, decode_responses=True)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


@contextmanager
def running_redis(folder: Path, *, password: str | None = None) -> Iterator[RedisServer]:
    """Start a redis-server and end it; skips the test where none is installed."""
    if not Path(_BINARY).is_file():
        pytest.skip("redis-server is not installed: apt install redis-server")
    server = RedisServer(folder, password=password)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class Watched:
    """A StoreObserver that keeps what it is told."""

    def __init__(self) -> None:
        self.failed = 0
        self.changes: list[bool] = []

    def store_failed(self) -> None:
        self.failed += 1

    def store_changed(self, *, is_up: bool) -> None:
        self.changes.append(is_up)
