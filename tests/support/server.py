"""A real server process for tests."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

TOKEN = "a-token-for-tests"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    """A server that answers at `url`; `log` holds what it wrote to stderr."""

    url: str
    token: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    def client(self, timeout_s: float = 30.0) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=self.headers, timeout=timeout_s)

    def async_client(self, timeout_s: float = 30.0) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=400)
        return httpx.AsyncClient(base_url=self.url, headers=self.headers, timeout=timeout_s, limits=limits)

    def engine_pid(self) -> int:
        """The engine process; the grammar checker's, started later, comes after it."""
        children = psutil.Process(self.process.pid).children()
        return min(children, key=lambda child: child.create_time()).pid

    def wait_ready(self, timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if httpx.get(f"{self.url}/ready").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"not ready within {timeout_s} s: {self.log.read_text()}")

    def wait_exit(self, timeout_s: float = 10.0) -> int:
        return self.process.wait(timeout_s)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_server(folder: Path, config: str, *, is_ready: bool = True) -> Iterator[RunningServer]:
    """Start `tiber-serve serve` with a configuration; end it, and see that nothing it started is left."""
    port = free_port()
    file = folder / "tiber-serve.toml"
    file.write_text(f"port = {port}\nlog_format = 'json'\n{config}", encoding="utf-8")
    log = folder / "stderr.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "serve", "--config", str(file)],
            env={
                **os.environ,
                "VALID_TOKEN": TOKEN,
                "TIBER_AUTH__TOKENS_FILE": str(folder / "tokens.json"),
                "TIBER_AUTH__BANS_FILE": str(folder / "bans.json"),
            },
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    server = RunningServer(url=f"http://127.0.0.1:{port}", token=TOKEN, process=process, log=log)
    try:
        if is_ready:
            server.wait_ready()
        yield server
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("the server did not end within 10 s of SIGINT") from None
        _, left = psutil.wait_procs(children, timeout=1)
        assert not left, "the server left a process behind"
