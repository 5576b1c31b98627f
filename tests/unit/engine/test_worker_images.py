"""The engine process takes up at most one request with images between two steps."""

import threading
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import pytest

from service.domain import GenerationRequest, Image, PicturePrompt, Sampling
from service.engine import worker
from service.engine.config import EngineConfig
from service.engine.messages import (
    Add,
    Cancel,
    Load,
    Ready,
    Step,
    Stop,
    ToEngine,
    decode_from_engine,
    to_frames,
)
from service.engine.protocol import Done, EngineEvent, Started, TokenDelta

PICTURE = Image(width=1, height=1, pixels=b"rgb")


class Recorder:
    """A backend that notes what it is asked for; each request takes as many steps as its tokens."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.left: dict[int, int] = {}

    def add(self, request_id: int, request: GenerationRequest) -> None:
        self.calls.append(f"add {request_id}")
        self.left[request_id] = request.sampling.max_new_tokens

    def cancel(self, request_id: int) -> None:
        self.left.pop(request_id, None)

    def step(self) -> list[EngineEvent]:
        self.calls.append("step")
        events: list[EngineEvent] = []
        for request_id in list(self.left):
            self.left[request_id] -= 1
            events.append(TokenDelta(request_id, [1]))
            if not self.left[request_id]:
                del self.left[request_id]
                events.append(Done(request_id, "length"))
        return events

    def running(self) -> int:
        return len(self.left)

    def close(self) -> None:
        self.calls.append("close")


@pytest.fixture
def pipe() -> Iterator[tuple[Connection, Connection]]:
    ours, theirs = Pipe()
    with ours, theirs:
        yield ours, theirs


def _add(request_id: int, *images: Image, tokens: int = 3) -> Add:
    texts = ("",) * (len(images) + 1)
    pictures = PicturePrompt(texts=texts, images=images, image_tokens=len(images))
    sampling = Sampling(max_new_tokens=tokens)
    return Add(request_id, GenerationRequest(prompt_ids=[1], sampling=sampling, pictures=pictures))


def _send(pipe: Connection, message: ToEngine) -> None:
    for frame in to_frames(message):
        pipe.send_bytes(frame)


def _run(
    pipe: tuple[Connection, Connection],
    monkeypatch: pytest.MonkeyPatch,
    messages: list[Add | Cancel],
    *,
    ends: set[int],
) -> tuple[Recorder, list[EngineEvent], list[int]]:
    """Send all `messages` before the worker's first look; read until the requests `ends` have ended."""
    ours, theirs = pipe
    recorder = Recorder()
    monkeypatch.setattr(worker, "load_backend", lambda _config: recorder)
    config = EngineConfig(
        backend="x", model_path="", device="CPU", cache_gib=1, max_batched_tokens=1, max_running=1,
        prefix_caching=False,
    )  # fmt: skip
    for message in (Load(config), *messages):
        _send(ours, message)
    thread = threading.Thread(target=worker.Worker(theirs).run)
    thread.start()
    assert isinstance(decode_from_engine(ours.recv_bytes()), Ready)
    events: list[EngineEvent] = []
    running: list[int] = []
    while not ends <= {event.request_id for event in events if isinstance(event, Done)}:
        step = decode_from_engine(ours.recv_bytes())
        assert isinstance(step, Step)
        events += step.events
        running.append(step.running)
    _send(ours, Stop())
    thread.join(5)
    assert not thread.is_alive()
    return recorder, events, running


def test_two_requests_with_images_never_start_in_the_same_step(
    pipe: tuple[Connection, Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[Add | Cancel] = [_add(1, PICTURE), _add(2, PICTURE, PICTURE), _add(3, PICTURE), _add(4)]
    recorder, events, running = _run(pipe, monkeypatch, messages, ends={1, 2, 3, 4})
    # Text takes no time to take up: it does not wait behind the images.
    assert recorder.calls[:6] == ["add 4", "add 1", "step", "add 2", "step", "add 3"]
    assert [event.request_id for event in events if isinstance(event, Started)] == [4, 1, 2, 3]
    # Those that wait count as unfinished, or nobody would look after an engine that hangs over them.
    assert running[0] == 4


def test_a_waiting_request_that_is_cancelled_is_never_taken_up(
    pipe: tuple[Connection, Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[Add | Cancel] = [_add(1, PICTURE), _add(2, PICTURE), Cancel(2), _add(3, PICTURE)]
    recorder, _, _ = _run(pipe, monkeypatch, messages, ends={1, 3})
    assert [call for call in recorder.calls if call.startswith("add")] == ["add 1", "add 3"]


def test_an_image_alone_wakes_an_idle_engine(
    pipe: tuple[Connection, Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, events, running = _run(pipe, monkeypatch, [_add(1, PICTURE, tokens=1)], ends={1})
    assert any(isinstance(event, Done) for event in events)
    assert running[-1] == 0
