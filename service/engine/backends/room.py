"""Lets requests into an engine when its KV cache can hold them to their last token.

An engine that runs out of cache takes some back from requests that have begun, and computes it anew later.
Backends for which that breaks something count the cache out beforehand.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable

from service.domain import GenerationRequest
from service.engine.protocol import Done, EngineEvent, Failed, Started


class Room:
    """The blocks of a KV cache that are promised to requests. `block_tokens`: tokens that one block holds."""

    def __init__(self, *, blocks: int, block_tokens: int = 1) -> None:
        self._blocks = blocks
        self._block_tokens = block_tokens
        self._promised: dict[int, int] = {}

    def __len__(self) -> int:
        """How many requests have some."""
        return len(self._promised)

    def __contains__(self, request_id: int) -> bool:
        """Whether this request has some."""
        return request_id in self._promised

    def can_ever_hold(self, tokens: int) -> bool:
        """Whether an empty cache has room for so many tokens."""
        return self._blocks_of(tokens) <= self._blocks

    def take(self, request_id: int, tokens: int) -> bool:
        """Promise room for so many tokens, if others leave it; who is alone gets any number."""
        wanted = self._blocks_of(tokens)
        if self._promised and sum(self._promised.values()) + wanted > self._blocks:
            return False
        self._promised[request_id] = wanted
        return True

    def give_back(self, request_id: int) -> None:
        """Take the promise back; unknown ids are ignored."""
        self._promised.pop(request_id, None)

    def _blocks_of(self, tokens: int) -> int:
        return -(-tokens // self._block_tokens)


class RoomQueue:
    """The requests of a backend, strictly in order: a large one is not overtaken for ever.

    `begin` hands one to the engine. `tokens` tells what it can come to hold at most. One that is larger
    than the cache runs alone if `takes_oversized`, else it fails. `may_begin` says whether one can begin in
    the next step, with all that begun before.
    """

    def __init__(
        self,
        room: Room,
        begin: Callable[[int, GenerationRequest], None],
        *,
        tokens: Callable[[GenerationRequest], int],
        takes_oversized: bool,
        may_begin: Callable[[GenerationRequest], bool] = lambda _request: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._room = room
        self._begin = begin
        self._tokens = tokens
        self._takes_oversized = takes_oversized
        self._may_begin = may_begin
        self._clock = clock
        self._waiting: deque[tuple[int, GenerationRequest]] = deque()
        self._failed: list[EngineEvent] = []
        # The engine frees what they hold in its next step, so their room is not another's before that.
        self._cancelled: set[int] = set()

    def __len__(self) -> int:
        """How many requests the engine has not got and that have not ended."""
        return len(self._waiting) + len(self._failed)

    @property
    def begun(self) -> int:
        """How many requests the engine works at, those cancelled left out."""
        return len(self._room) - len(self._cancelled)

    @property
    def held(self) -> int:
        """The same with those that were cancelled since the last step: the engine has them still."""
        return len(self._room)

    def add(self, request_id: int, request: GenerationRequest) -> None:
        """Begin the request, or let it wait in line. Raises: what the engine refuses it with."""
        if not self._takes_oversized and not self._room.can_ever_hold(self._tokens(request)):
            self._failed.append(Failed(request_id, "the KV cache has no room for this request", False))
        elif self._waiting or not self._try_to_begin(request_id, request):
            self._waiting.append((request_id, request))

    def cancel(self, request_id: int) -> None:
        """Forget the request; the engine is told by its backend."""
        self._waiting = deque(one for one in self._waiting if one[0] != request_id)
        self._failed = [event for event in self._failed if event.request_id != request_id]
        if request_id in self._room:
            self._cancelled.add(request_id)

    def let_in(self) -> list[EngineEvent]:
        """Before a step: begin those that have room now."""
        events, self._failed = self._failed, []
        while self._waiting:
            request_id, request = self._waiting[0]
            try:
                if not self._try_to_begin(request_id, request):
                    break
                events.append(Started(request_id, self._clock()))
            except Exception as error:  # noqa: BLE001 - as in the worker: it costs only this request
                print(f"engine refused a request: {error}", file=sys.stderr)  # noqa: T201 - the child's log
                events.append(Failed(request_id, "the engine refused this request", False))
            self._waiting.popleft()
            if request.has_images:
                # It was encoded now, and no stream got a token meanwhile: first a step, as in the worker.
                break
        return events

    def settle(self, events: Iterable[EngineEvent]) -> None:
        """After a step: give back the room of those that ended in it, or were cancelled before it."""
        for event in events:
            if isinstance(event, Done | Failed):
                self._room.give_back(event.request_id)
        for request_id in self._cancelled:
            self._room.give_back(request_id)
        self._cancelled.clear()

    def clear(self) -> None:
        """Forget all that wait."""
        self._waiting.clear()
        self._failed.clear()

    def _try_to_begin(self, request_id: int, request: GenerationRequest) -> bool:
        if not self._may_begin(request) or not self._room.take(request_id, self._tokens(request)):
            return False
        try:
            self._begin(request_id, request)
        except Exception:
            self._room.give_back(request_id)
            raise
        return True
