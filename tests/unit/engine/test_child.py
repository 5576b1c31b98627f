"""One engine process's last words, with a real process and the fake backend."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import psutil
import pytest
import uvloop

from service.domain import GenerationRequest, Sampling
from service.engine.child import Child
from service.engine.config import EngineConfig
from service.engine.messages import Add, Cancel, Ready

POISON_ID = 903
CONFIG = EngineConfig(
    backend="fake",
    model_path="",
    device="CPU",
    cache_gib=1,
    max_batched_tokens=256,
    max_running=16,
    prefix_caching=True,
    properties={"poison_id": str(POISON_ID)},
)


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def _die_before_a_message() -> str:
    ready = asyncio.Event()
    child = await Child.spawn(
        CONFIG, None, lambda message: ready.set() if isinstance(message, Ready) else None
    )
    try:
        await asyncio.wait_for(ready.wait(), 10)
        child.send(Add(1, GenerationRequest(prompt_ids=[POISON_ID], sampling=Sampling(max_new_tokens=2))))
        # The event loop must not hear of the death before it writes to the dead, so it is kept busy.
        until_s = time.monotonic() + 10
        while _is_alive(child.pid):
            assert time.monotonic() < until_s
            time.sleep(0.01)  # noqa: ASYNC251 - see above
        child.send(Cancel(1))
        return await asyncio.wait_for(child.wait(), 10)
    finally:
        await child.destroy()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_what_a_process_said_before_it_died_is_heard_by_who_writes_to_it_first(
    run: Callable[[Coroutine[Any, Any, str]], str],
) -> None:
    assert "scripted" in run(_die_before_a_message())


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, "glibc.malloc.hugetlb=1"), ("glibc.malloc.check=0", "glibc.malloc.check=0")],
)
def test_an_engine_asks_for_large_pages_unless_the_operator_tunes_glibc(
    given: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if given is not None:
        monkeypatch.setenv("GLIBC_TUNABLES", given)

    async def environment() -> dict[str, str]:
        child = await Child.spawn(CONFIG, None, lambda _message: None)
        try:
            return psutil.Process(child.pid).environ()
        finally:
            await child.destroy()

    assert asyncio.run(environment())["GLIBC_TUNABLES"] == expected
