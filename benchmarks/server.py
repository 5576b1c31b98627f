"""Starts `tiber-serve serve` as a child process with a configuration of its own."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.client import Target
from benchmarks.errors import BenchmarkError
from service.settings import ModelSettings, load_settings

_HOST = "127.0.0.1"
_READY_S = 300.0
_STOP_S = 10.0
# Fine enough for what `startup` measures, and no load that delays it.
_POLL_S = 0.02
_LOG_TAIL_CHARACTERS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that answers at `target`; `settings` are its model's, as the server read them.

    `ready_s` is the time from the process' start until /ready, to about 20 ms.
    """

    target: Target
    pid: int
    settings: ModelSettings
    ready_s: float

    def engine_pid(self) -> int:
        """The engine's process: the first child; one that tries grammars may be started later.

        Raises:
            BenchmarkError: there is none.
        """
        children = psutil.Process(self.pid).children()
        if not children:
            raise BenchmarkError("the server has no engine process")
        return int(min(children, key=lambda child: child.create_time()).pid)


@contextlib.contextmanager
def running_server(model: Path, **model_settings: float) -> Iterator[Server]:
    """Serve `model` on a free port; `model_settings` are those of `[[models]]`.

    Raises:
        BenchmarkError: it did not become ready; its last words are in the message.
        ConfigError: a setting is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="tiber-serve-benchmark-") as folder:
        config = Path(folder) / "tiber-serve.toml"
        port = free_port()
        config.write_text(_toml(model, port, Path(folder), model_settings), encoding="utf-8")
        settings = load_settings(config, {}).models[0]
        token = secrets.token_urlsafe()
        log = Path(folder) / "stderr.log"
        started_s = time.monotonic()
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "service.cli", "serve", "--config", str(config)],
                env={**os.environ, "VALID_TOKEN": token},
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                # Ctrl-C is for us: what is measured then is not to fail of it.
                process_group=0,
            )
        try:
            _wait_ready(process, port, log)
            ready_s = time.monotonic() - started_s
            target = Target(host=_HOST, port=port, token=token)
            yield Server(target=target, pid=process.pid, settings=settings, ready_s=ready_s)
        finally:
            _end(process)


def _toml(model: Path, port: int, folder: Path, model_settings: dict[str, float]) -> str:
    # JSON's strings and numbers are TOML's, too.
    lines = [
        f'host = "{_HOST}"',
        f"port = {port}",
        "[auth]",
        f"tokens_file = {json.dumps(str(folder / 'tokens.json'))}",
        "[[models]]",
        f"path = {json.dumps(str(model.resolve()))}",
        *(f"{name} = {json.dumps(value)}" for name, value in model_settings.items()),
    ]
    return "\n".join(lines) + "\n"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_ready(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline_s = time.monotonic() + _READY_S
    while not _is_ready(port):
        if process.poll() is not None or time.monotonic() > deadline_s:
            tail = log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL_CHARACTERS:]
            raise BenchmarkError(f"the server did not become ready; it said: {tail.strip() or 'nothing'}")
        time.sleep(_POLL_S)


def _is_ready(port: int) -> bool:
    request = Target(host=_HOST, port=port, token="").request("GET", "/ready")
    try:
        with socket.create_connection((_HOST, port), 1.0) as connection:
            connection.sendall(request)
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    # An engine outlives its server for a moment; it ends by itself, even when the server must be killed.
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
