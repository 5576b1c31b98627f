"""The way to Redis: quick, or not at all."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import NoScriptError, RedisError, ResponseError

from service.auth.failures import StoreObserver
from service.auth.redis_scripts import SCRIPTS, Script

_CALLS_AT_ONCE = 100
# Nobody waits for it. Giving up on a host name that resolves slowly leaves a thread behind, so not soon.
_PROBE_TIMEOUT_S = 5.0
# A Redis that can be read alone is of no use.
_PROBE = ("SET", "tiber:probe", "1", "PX", 1000)
_LAST_TURNS = 8

_log = structlog.get_logger()


class RedisAwayError(Exception):
    """Redis did not answer in time, or with an error; or it is not asked, since it did so a moment ago."""


@dataclass(frozen=True, slots=True)
class Call:
    """A script to run."""

    script: Script
    keys: Sequence[str]
    arguments: Sequence[str | float]


class RedisLink:
    """Runs scripts in Redis, those that are asked for at one moment together: 8 times as many a second.

    A Redis that gives no answer within `timeout_s`, connecting included, or an error, is away: no call
    tries it any more until `run` found that it can be written to, looking every `retry_s`.
    """

    def __init__(
        self, client: "Redis", *, timeout_s: float, observer: StoreObserver, retry_s: float = 1.0
    ) -> None:
        self._client = client
        self._pool: ConnectionPool = client.connection_pool
        self._timeout_s = timeout_s
        self._observer = observer
        self._retry_s = retry_s
        self._is_up = True
        self._lost = asyncio.Event()
        self._waiting: deque[tuple[Call, asyncio.Future[Any]]] = deque()
        self._sender: asyncio.Task[None] | None = None

    async def call(self, script: Script, keys: Sequence[str], arguments: Sequence[str | float]) -> Any:  # noqa: ANN401 - what the script answers
        """Run a script.

        Raises:
            RedisAwayError: it may have run or not.
        """
        if not self._is_up:
            raise RedisAwayError
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((Call(script, keys, arguments), answer))
        if self._sender is None or self._sender.done():
            # It serves many requests, so its log lines carry none's id.
            self._sender = asyncio.create_task(self._send_waiting(), context=Context())
        return await answer

    async def send(self, calls: Sequence[Call]) -> list[Any]:
        """Run scripts together, whether Redis is known to be there or not.

        Raises:
            RedisAwayError: each may have run or not.
        """
        try:
            return await self._in_time(self._exchange(calls))
        except (RedisError, OSError, TimeoutError) as error:
            self._lose(error)
            raise RedisAwayError from error

    async def run(self, restore: Callable[[], Awaitable[None]]) -> None:
        """Look after the connection until cancelled; `restore` sends what Redis missed while it was away."""
        try:
            # At once, so that the first request finds a connection.
            await self._comes_back(restore)
            while True:
                await self._lost.wait()
                await asyncio.sleep(self._retry_s)
                await self._comes_back(restore)
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connection; who still waits for an answer gets none."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        self._refuse_waiting()
        await self._client.aclose()

    async def _comes_back(self, restore: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                await self._load()
            _raise_first_error(await self._in_time(self._round_trip([_PROBE])))
        except (RedisError, OSError, TimeoutError) as error:
            self._lose(error)
            return
        try:
            # Nothing comes between the last look at what Redis missed and its use.
            await restore()
            self._find()
        except RedisAwayError:
            return

    def _find(self) -> None:
        self._lost.clear()
        if not self._is_up:
            self._is_up = True
            _log.info("redis_found")
            self._observer.store_changed(is_up=True)

    async def _send_waiting(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_CALLS_AT_ONCE, len(self._waiting)))]
            try:
                answers = await self.send([call for call, _ in batch])
            except BaseException as error:
                # Also when cancelled: whoever waits is told.
                self._waiting.extendleft(batch)
                self._refuse_waiting()
                if isinstance(error, RedisAwayError):
                    return
                raise
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    async def _in_time(self, work: Awaitable[list[Any]]) -> list[Any]:
        async with asyncio.timeout(None) as limit:
            timer = asyncio.create_task(_end_after(self._timeout_s, limit))
            try:
                return await work
            finally:
                timer.cancel()

    async def _exchange(self, calls: Sequence[Call]) -> list[Any]:
        answers = await self._round_trip([_command(call) for call in calls])
        unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            # Redis was started anew.
            await self._load()
            again = await self._round_trip([_command(calls[index]) for index in unknown])
            for index, answer in zip(unknown, again, strict=True):
                answers[index] = answer
        return _raise_first_error(answers)

    async def _round_trip(self, commands: Sequence[Sequence[str | float]]) -> list[Any]:
        # A pipeline of the library does the same in three times as many turns of the event loop, each
        # of which may be long where there is much to do.
        connection: AbstractConnection = await self._pool.get_connection()  # type: ignore[no-untyped-call]  # it has none
        try:
            await connection.send_packed_command(connection.pack_commands(commands))
            return [await _answer(connection) for _ in commands]
        finally:
            await self._pool.release(connection)

    async def _load(self) -> None:
        commands = [("SCRIPT", "LOAD", script.text) for script in SCRIPTS]
        _raise_first_error(await self._round_trip(commands))

    def _lose(self, error: Exception) -> None:
        self._observer.store_failed()
        self._lost.set()
        if self._is_up:
            self._is_up = False
            # By its kind alone: what it says may tell of the password.
            _log.warning("redis_lost", error=type(error).__name__)
            self._observer.store_changed(is_up=False)

    def _refuse_waiting(self) -> None:
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(RedisAwayError())


async def _end_after(timeout_s: float, limit: asyncio.Timeout) -> None:
    await asyncio.sleep(timeout_s)
    # Where the loop is busy the answer may have been there for long, unread: it gets its turns.
    for _ in range(_LAST_TURNS):
        await asyncio.sleep(0)
    limit.reschedule(asyncio.get_running_loop().time())


def _command(call: Call) -> tuple[str | float, ...]:
    return ("EVALSHA", call.script.digest, len(call.keys), *call.keys, *call.arguments)


async def _answer(connection: AbstractConnection) -> Any:  # noqa: ANN401 - what the script answers
    try:
        return await connection.read_response()
    except ResponseError as error:
        # The others' answers come after it.
        return error


def _raise_first_error(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, ResponseError):
            raise answer
    return answers
