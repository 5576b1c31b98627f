"""The supervisor with a real child process and the fake backend."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import pairwise

import psutil
import pytest
import uvloop

from service.deadline import Deadline
from service.domain import GenerationRequest, Image, PicturePrompt, Sampling
from service.engine.config import EngineConfig
from service.engine.process import EngineProcess, SupervisorPolicy
from service.engine.protocol import Deliver, Done, EngineEvent, Failed, Started, TokenDelta
from service.engine.streams import OpenStreams
from service.errors import ConfigError, DeadlineError, EngineError, UnavailableError

FAULTS = {"reject_id": "901", "full_id": "902", "poison_id": "903", "crash_id": "904", "hang_id": "905"}
POLICY = SupervisorPolicy(backoff_first_s=0.05, backoff_max_s=0.2, stall_s=0.8, stop_s=2.0)

Start = Callable[..., Awaitable[EngineProcess]]


def _config(**properties: str) -> EngineConfig:
    return EngineConfig(
        backend="fake",
        model_path="",
        device="CPU",
        cache_gib=1,
        max_batched_tokens=256,
        max_running=16,
        prefix_caching=True,
        properties={"step_s": "0.01", **FAULTS, **properties},
    )


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    engines: list[EngineProcess] = []

    async def started(**properties: str) -> EngineProcess:
        engine = EngineProcess(_config(**properties), policy=POLICY)
        engines.append(engine)
        await engine.start()
        async with asyncio.timeout(10):
            await engine.wait_ready()
        return engine

    yield started
    for engine in engines:
        await engine.stop()


def _request(*prompt_ids: int, max_new_tokens: int = 4) -> GenerationRequest:
    sampling = Sampling(max_new_tokens=max_new_tokens)
    return GenerationRequest(prompt_ids=list(prompt_ids) or [1, 2, 3], sampling=sampling)


def _with_picture() -> GenerationRequest:
    image = Image(width=1, height=1, pixels=b"rgb")
    pictures = PicturePrompt(texts=("", ""), images=(image,), image_tokens=1)
    return GenerationRequest(prompt_ids=[1], sampling=Sampling(max_new_tokens=2), pictures=pictures)


def _keep_in(events: list[EngineEvent]) -> Deliver:
    def keep(batch: Sequence[EngineEvent]) -> bool:
        events.extend(batch)
        return True

    return keep


async def _collect(engine: EngineProcess, request: GenerationRequest) -> list[EngineEvent]:
    events: list[EngineEvent] = []
    await engine.run(request, _keep_in(events))
    return events


async def _collect_error(engine: EngineProcess, request: GenerationRequest) -> Exception:
    try:
        await _collect(engine, request)
    except (EngineError, UnavailableError) as error:
        return error
    raise AssertionError("the stream ended well")


async def _until(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - the condition belongs to another process
            await asyncio.sleep(0.01)


async def test_a_stream_brings_tokens_then_done(start: Start) -> None:
    engine = await start()
    events = await _collect(engine, _request(7, 8, 9))
    tokens = [token_id for event in events if isinstance(event, TokenDelta) for token_id in event.token_ids]
    assert tokens == [7, 8, 9, 7]
    assert isinstance(events[-1], Done)
    assert engine.status().open_requests == 0


async def test_cancelling_a_request_cancels_it_in_the_engine(start: Start) -> None:
    engine = await start()
    running = asyncio.create_task(_collect(engine, _request(max_new_tokens=100_000)))
    await _until(lambda: engine.status().running == 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await _until(lambda: engine.status().running == 0, within_s=1.0)


async def test_who_wants_no_more_ends_the_request_in_the_engine(start: Start) -> None:
    engine = await start()
    batches: list[Sequence[EngineEvent]] = []

    def take(batch: Sequence[EngineEvent]) -> bool:
        batches.append(batch)
        return len(batches) < 3

    await engine.run(_request(max_new_tokens=100_000), take)
    assert len(batches) == 3
    await _until(lambda: engine.status().running == 0, within_s=1.0)


async def test_who_breaks_when_told_ends_its_request_alone(start: Start) -> None:
    engine = await start()
    good = asyncio.create_task(_collect(engine, _request(max_new_tokens=30)))

    def take(_batch: Sequence[EngineEvent]) -> bool:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await engine.run(_request(max_new_tokens=100_000), take)
    assert isinstance((await good)[-1], Done)
    assert engine.status().restarts == 0


async def test_a_refused_request_fails_alone(start: Start) -> None:
    engine = await start()
    good = asyncio.create_task(_collect(engine, _request(max_new_tokens=30)))
    assert isinstance(await _collect_error(engine, _request(901)), EngineError)
    assert isinstance((await good)[-1], Done)


async def test_a_full_cache_fails_its_request_alone_and_may_be_tried_again(start: Start) -> None:
    engine = await start()
    good = asyncio.create_task(_collect(engine, _request(max_new_tokens=30)))
    assert isinstance(await _collect_error(engine, _request(902)), UnavailableError)
    assert isinstance((await good)[-1], Done)


@pytest.mark.parametrize("fault", [903, 904, 905], ids=["step raises", "process dies", "step hangs"])
async def test_a_dead_engine_ends_every_stream_and_comes_back(start: Start, fault: int) -> None:
    engine = await start()
    others = [asyncio.create_task(_collect_error(engine, _request(max_new_tokens=100_000))) for _ in range(5)]
    await _until(lambda: engine.status().running == 5)
    await _collect_error(engine, _request(fault))
    async with asyncio.timeout(1.0):
        errors = await asyncio.gather(*others)
    assert all(isinstance(error, UnavailableError) for error in errors)
    assert engine.status().state == "restarting"
    async with asyncio.timeout(10):
        await engine.wait_ready()
    assert isinstance((await _collect(engine, _request()))[-1], Done)
    assert engine.status().restarts == 1


async def test_kill_9_ends_every_stream_within_a_second(start: Start) -> None:
    engine = await start()
    streams = [
        asyncio.create_task(_collect_error(engine, _request(max_new_tokens=100_000))) for _ in range(20)
    ]
    await _until(lambda: engine.status().running == 20)
    pid = engine.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    killed_s = time.monotonic()
    await asyncio.gather(*streams)
    assert time.monotonic() - killed_s < 1.0


async def test_a_request_while_restarting_is_unavailable_at_once(start: Start) -> None:
    engine = await start()
    await _collect_error(engine, _request(904))
    with pytest.raises(UnavailableError):
        await _collect(engine, _request())


async def test_stop_ends_open_streams_and_leaves_no_process(start: Start) -> None:
    engine = await start()
    stream = asyncio.create_task(_collect_error(engine, _request(max_new_tokens=100_000)))
    await _until(lambda: engine.status().running == 1)
    pid = engine.status().pid
    assert pid is not None
    await engine.stop()
    assert isinstance(await stream, UnavailableError)
    assert not psutil.pid_exists(pid)


async def test_stop_twice_is_harmless(start: Start) -> None:
    engine = await start()
    await engine.stop()
    await engine.stop()


async def test_an_interpreter_that_is_not_there_keeps_the_engine_restarting_not_hanging() -> None:
    config = EngineConfig(
        backend="fake",
        model_path="",
        device="CPU",
        cache_gib=1,
        max_batched_tokens=256,
        max_running=16,
        prefix_caching=True,
    )
    engine = EngineProcess(config, python="/no/such/python", policy=POLICY)
    await engine.start()
    await _until(lambda: engine.status().restarts >= 2)
    assert "could not be started" in (engine.status().last_error or "")
    await engine.stop()


async def test_settings_that_the_engine_refuses_are_told_to_who_waits_and_not_tried_again() -> None:
    engine = EngineProcess(_config(refusal="no such thing here: take it out"), policy=POLICY)
    await engine.start()
    for _ in range(2):
        with pytest.raises(ConfigError, match="no such thing here: take it out"):
            await asyncio.wait_for(engine.wait_ready(), 10)
    assert (engine.status().state, engine.status().restarts, engine.status().pid) == ("stopped", 0, None)
    assert isinstance(await _collect_error(engine, _request()), UnavailableError)
    await engine.stop()


async def test_a_hung_engine_is_restarted_though_its_clients_gave_up(start: Start) -> None:
    engine = await start()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await _collect(engine, _request(905))
    for _ in range(20):
        with contextlib.suppress(TimeoutError, UnavailableError):
            async with asyncio.timeout(0.2):
                await _collect(engine, _request())
        await asyncio.sleep(0.02)
    assert engine.status().restarts == 1
    await engine.wait_ready()
    assert isinstance((await _collect(engine, _request()))[-1], Done)


async def _come_and_go(engine: EngineProcess, failures: list[Exception]) -> None:
    while True:
        try:
            await engine.run(_request(max_new_tokens=50), lambda batch: isinstance(batch[-1], Started))
        except UnavailableError:
            await asyncio.sleep(0.001)
        except Exception as error:  # noqa: BLE001 - what must not come
            failures.append(error)


async def _kill_under_clients() -> tuple[list[Exception], int]:
    engine = EngineProcess(_config(step_s="0.001"), policy=POLICY)
    await engine.start()
    failures: list[Exception] = []
    clients = [asyncio.create_task(_come_and_go(engine, failures)) for _ in range(20)]
    for _ in range(3):
        await asyncio.wait_for(engine.wait_ready(), 10)
        await asyncio.sleep(0.1)
        pid = engine.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await _until(lambda: engine.status().state != "ready")
    for client in clients:
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    open_requests = engine.status().open_requests
    await engine.stop()
    return failures, open_requests


def test_clients_that_come_and_go_while_an_engine_dies_are_told_so_and_leave_nothing() -> None:
    # uvloop, on which the service runs: its transports raise where asyncio's only log.
    failures, open_requests = uvloop.run(_kill_under_clients())
    assert failures == []
    assert open_requests == 0


async def test_a_deadline_cancels_in_the_engine(start: Start) -> None:
    engine = await start()
    events: list[EngineEvent] = []
    with pytest.raises(DeadlineError):
        await engine.run(_request(max_new_tokens=100_000), _keep_in(events), Deadline.after(0.2))
    assert events
    await _until(lambda: engine.status().running == 0)


async def test_pictures_come_to_the_engine_few_requests_at_a_time(start: Start) -> None:
    engine = await start(step_s="0.3")
    running = [asyncio.create_task(_collect(engine, _with_picture())) for _ in range(5)]
    await asyncio.sleep(0.1)
    # The engine steps with the first one, the second is on its way.
    assert engine.status().open_requests == 2
    running[3].cancel()
    for task in running[:3] + running[4:]:
        assert isinstance((await task)[-1], Done)
    assert engine.status().open_requests == 0


async def test_there_is_a_step_between_two_requests_with_pictures(start: Start) -> None:
    engine = await start(step_s="0.05")
    begun: list[float] = []

    async def run() -> None:
        events = await _collect(engine, _with_picture())
        begun.extend(event.at_s for event in events if isinstance(event, Started))

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(run())
    begun.sort()
    assert all(later - earlier >= 0.05 for earlier, later in pairwise(begun))


async def test_tokens_that_come_with_a_failure_are_told_before_it() -> None:
    told: list[EngineEvent] = []
    streams = OpenStreams()
    request_id, stream = streams.open(_keep_in(told))
    last = TokenDelta(request_id, [1])
    streams.dispatch([last, Failed(request_id, "no room", True)])
    assert told == [last]
    with pytest.raises(UnavailableError, match="no room"):
        await stream.ended


async def test_pictures_that_wait_for_their_turn_keep_their_deadline(start: Start) -> None:
    engine = await start(step_s="0.5")
    first = [asyncio.create_task(_collect(engine, _with_picture())) for _ in range(2)]
    await asyncio.sleep(0.05)
    with pytest.raises(DeadlineError):
        await engine.run(_with_picture(), _keep_in([]), Deadline.after(0.1))
    for task in first:
        assert isinstance((await task)[-1], Done)


async def test_what_cancels_a_caller_of_stop_is_not_swallowed(start: Start) -> None:
    engine = await start()
    stopping = asyncio.create_task(engine.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
