"""A backend with a queue for room keeps the Backend contract: each request ends once, or is cancelled."""

import pytest

from service.domain import GenerationRequest, Image, PicturePrompt, Sampling
from service.engine.backends.fake import FakeBackend
from service.engine.backends.room import Room, RoomQueue
from service.engine.config import EngineConfig
from service.engine.protocol import Done, EngineEvent, Failed, Started, TokenDelta

REJECTED = 66
# Each request below takes 10 tokens of the 20.
CACHE_TOKENS = 20


class SmallBackend:
    """The fake engine behind a queue, as the real ones are."""

    def __init__(self, *, takes_oversized: bool = False) -> None:
        properties = {"reject_id": str(REJECTED)}
        self.engine = FakeBackend(
            EngineConfig(
                backend="fake",
                model_path="",
                device="CPU",
                cache_gib=1,
                max_batched_tokens=16,
                max_running=16,
                prefix_caching=False,
                properties=properties,
            )
        )
        self.queue = RoomQueue(
            Room(blocks=CACHE_TOKENS),
            self.engine.add,
            tokens=_tokens,
            takes_oversized=takes_oversized,
            clock=lambda: self.now_s,
        )
        self.now_s = 0.0

    def step(self) -> list[EngineEvent]:
        events = self.queue.let_in()
        events += self.engine.step()
        self.queue.settle(events)
        return events

    def cancel(self, request_id: int) -> None:
        self.queue.cancel(request_id)
        self.engine.cancel(request_id)

    def run(self) -> list[EngineEvent]:
        events: list[EngineEvent] = []
        while self.engine.running() + len(self.queue):
            events += self.step()
        return events


def _tokens(request: GenerationRequest) -> int:
    return request.prompt_tokens + request.sampling.max_new_tokens


def request(*, new_tokens: int = 9, prompt_id: int = 1) -> GenerationRequest:
    return GenerationRequest(prompt_ids=[prompt_id], sampling=Sampling(max_new_tokens=new_tokens))


def with_picture() -> GenerationRequest:
    image = Image(width=1, height=1, pixels=b"rgb")
    pictures = PicturePrompt(texts=("", ""), images=(image,), image_tokens=1)
    return GenerationRequest(prompt_ids=[1], sampling=Sampling(max_new_tokens=4), pictures=pictures)


def ends(events: list[EngineEvent]) -> list[EngineEvent]:
    return [event for event in events if isinstance(event, Done | Failed)]


@pytest.fixture
def backend() -> SmallBackend:
    return SmallBackend()


def test_those_that_have_room_begin_at_once_and_the_others_in_their_order(backend: SmallBackend) -> None:
    for request_id in range(1, 6):
        backend.queue.add(request_id, request())
    assert (backend.engine.running(), len(backend.queue)) == (2, 3)
    assert ends(backend.run()) == [Done(request_id, "length") for request_id in range(1, 6)]


def test_one_that_waited_tells_when_it_began_before_its_first_token(backend: SmallBackend) -> None:
    for request_id in range(1, 4):
        backend.queue.add(request_id, request())
    backend.now_s = 5.0
    events = backend.run()
    assert [event for event in events if isinstance(event, Started)] == [Started(3, 5.0)]
    assert events.index(Started(3, 5.0)) < events.index(TokenDelta(3, [1]))


def test_of_those_with_pictures_one_begins_in_a_step(backend: SmallBackend) -> None:
    backend.queue.add(1, request(new_tokens=19))
    for request_id in (2, 3, 4):
        backend.queue.add(request_id, with_picture())
    backend.queue.cancel(1)
    backend.engine.cancel(1)
    backend.step()
    assert Started(2, 0.0) in backend.step()
    assert backend.engine.running() == 1
    backend.step()
    assert backend.engine.running() == 2


def test_a_small_one_does_not_overtake_a_large_one_that_waits(backend: SmallBackend) -> None:
    backend.queue.add(1, request(new_tokens=5))
    backend.queue.add(2, request(new_tokens=19))
    backend.queue.add(3, request(new_tokens=1))
    assert [event.request_id for event in ends(backend.run())] == [1, 2, 3]


def test_one_that_waits_is_cancelled_without_a_word(backend: SmallBackend) -> None:
    for request_id in range(1, 5):
        backend.queue.add(request_id, request())
    backend.cancel(3)
    events = backend.run()
    assert {event.request_id for event in events} == {1, 2, 4}
    assert len(ends(events)) == 3


def test_the_room_of_a_cancelled_one_is_free_after_the_next_step_only(backend: SmallBackend) -> None:
    for request_id in range(1, 4):
        backend.queue.add(request_id, request())
    backend.step()
    backend.cancel(1)
    assert backend.queue.begun == 1
    assert {event.request_id for event in backend.step()} == {2}
    assert {event.request_id for event in backend.step()} == {2, 3}


def test_cancelling_them_all_leaves_nothing_behind(backend: SmallBackend) -> None:
    backend.queue.add(1, request(new_tokens=90))
    for request_id in range(2, 6):
        backend.queue.add(request_id, request())
    for request_id in range(1, 6):
        backend.cancel(request_id)
        backend.cancel(request_id)
    backend.cancel(77)
    assert backend.queue.begun == 0
    assert backend.run() == []
    assert backend.step() == []
    backend.queue.add(6, request(new_tokens=19))
    assert ends(backend.run()) == [Done(6, "length")]


def test_one_larger_than_the_cache_fails_alone_and_once(backend: SmallBackend) -> None:
    backend.queue.add(1, request(new_tokens=20))
    backend.queue.add(2, request())
    events = backend.run()
    assert [event for event in events if event.request_id == 1] == [
        Failed(1, "the KV cache has no room for this request", False)
    ]
    assert ends(events)[1:] == [Done(2, "length")]


def test_one_larger_than_the_cache_runs_alone_where_the_engine_bears_it() -> None:
    backend = SmallBackend(takes_oversized=True)
    backend.queue.add(1, request())
    backend.queue.add(2, request(new_tokens=30))
    backend.queue.add(3, request())
    events = backend.run()
    assert ends(events) == [Done(request_id, "length") for request_id in (1, 2, 3)]
    places = [event.request_id for event in events if isinstance(event, TokenDelta)]
    assert places == sorted(places)


def test_what_the_engine_refuses_at_once_is_raised_and_takes_no_room(backend: SmallBackend) -> None:
    with pytest.raises(ValueError, match="scripted refusal"):
        backend.queue.add(1, request(prompt_id=REJECTED))
    assert backend.queue.begun == 0
    backend.queue.add(2, request(new_tokens=19))
    assert ends(backend.run()) == [Done(2, "length")]


def test_what_the_engine_refuses_later_fails_once_and_those_behind_it_go_on(
    backend: SmallBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    backend.queue.add(1, request(new_tokens=19))
    backend.queue.add(2, request(prompt_id=REJECTED))
    backend.queue.add(3, request())
    assert ends(backend.run()) == [
        Done(1, "length"),
        Failed(2, "the engine refused this request", False),
        Done(3, "length"),
    ]
    assert "scripted refusal" in capsys.readouterr().err


def test_clearing_forgets_those_that_wait(backend: SmallBackend) -> None:
    for request_id in range(1, 5):
        backend.queue.add(request_id, request(new_tokens=20 if request_id == 4 else 9))
    backend.queue.clear()
    assert len(backend.queue) == 0
