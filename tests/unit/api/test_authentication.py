"""Nothing passes without the guard, and what passes holds its place until its end."""

from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from service.api.authentication import ADDRESS, IDENTITY, Authentication
from service.auth.guard import AccessLimits, AuthGuard
from service.auth.memory import MemoryFailureStore
from service.auth.observer import AuthObservers
from service.auth.policy import BanPolicy
from service.auth.rate_limiter import MemoryRateLimiter
from service.auth.tokens import TokenStore

RIGHT = (b"authorization", b"Bearer open-sesame")
WRONG = (b"authorization", b"Bearer guess-123")


class App:
    """What is behind; it remembers what reached it."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.error: BaseException | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if self.error is not None:
            raise self.error
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def guarded(app: App, tmp_path: Path) -> Authentication:
    guard = AuthGuard(
        tokens=TokenStore(tmp_path / "tokens.json", environment_token="open-sesame"),
        failures=MemoryFailureStore(),
        policy=BanPolicy(),
        rates=MemoryRateLimiter(),
        limits=AccessLimits(token_concurrency=1),
        trusted_proxies=["10.0.0.0/8"],
        forwarding_header="Forwarded",
        clock=lambda: 1_000_000.0,
        observer=AuthObservers(()),
    )
    return Authentication(app, guard=guard, guards_metrics=False)


def scope_of(
    *headers: tuple[bytes, bytes], path: str = "/info", method: str = "GET", peer: str = "203.0.113.9"
) -> Scope:
    return {"type": "http", "method": method, "path": path, "headers": list(headers), "client": (peer, 1)}


async def call(guarded: Authentication, scope: Scope) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("nothing is read before the guard was asked")

    async def send(message: Message) -> None:
        sent.append(message)

    await guarded(scope, receive, send)
    return sent


async def status(guarded: Authentication, *headers: tuple[bytes, bytes], **request: Any) -> int:
    sent = await call(guarded, scope_of(*headers, **request))
    found: int = sent[0]["status"]
    return found


async def test_a_websocket_is_closed_whatever_it_brings(guarded: Authentication, app: App) -> None:
    scope = {**scope_of(RIGHT), "type": "websocket"}
    assert [message["type"] for message in await call(guarded, scope)] == ["websocket.close"]
    assert app.scopes == []


async def test_an_unknown_protocol_is_an_error_and_the_lifespan_passes(
    guarded: Authentication, app: App
) -> None:
    with pytest.raises(RuntimeError, match="carrier-pigeon"):
        await call(guarded, {**scope_of(RIGHT), "type": "carrier-pigeon"})
    assert app.scopes == []
    await call(guarded, {"type": "lifespan"})
    assert len(app.scopes) == 1


async def test_two_authorization_headers_are_malformed_even_if_both_are_right(
    guarded: Authentication, app: App
) -> None:
    assert await status(guarded, RIGHT, RIGHT) == 401
    assert await status(guarded, RIGHT, WRONG) == 401
    assert await status(guarded, RIGHT) == 200


async def test_the_identity_and_the_address_are_there_for_the_routes_and_the_log(
    guarded: Authentication, app: App
) -> None:
    assert await status(guarded, RIGHT) == 200
    assert app.scopes[0][IDENTITY].token_name == "VALID_TOKEN"
    assert app.scopes[0][ADDRESS] == "203.0.113.9"


async def test_who_is_not_let_in_has_an_address_and_no_identity(guarded: Authentication) -> None:
    scope = scope_of(WRONG, (b"forwarded", b"for=198.51.100.1"), peer="10.0.0.1")
    await call(guarded, scope)
    assert scope[ADDRESS] == "198.51.100.1"
    assert IDENTITY not in scope


async def test_only_the_configured_forwarding_header_is_read(guarded: Authentication) -> None:
    for header, address in ((b"x-forwarded-for", "10.0.0.1"), (b"forwarded", "198.51.100.1")):
        value = b"for=198.51.100.1" if header == b"forwarded" else b"198.51.100.1"
        scope = scope_of(RIGHT, (header, value), peer="10.0.0.1")
        await call(guarded, scope)
        assert scope[ADDRESS] == address


async def test_public_paths_pass_without_a_place_or_an_identity(guarded: Authentication, app: App) -> None:
    for path in ("/health", "/ready", "/ping", "/metrics", "/", "/ui"):
        assert await status(guarded, path=path) == 200
    assert all(IDENTITY not in scope for scope in app.scopes)
    assert await status(guarded, path="/", method="POST") == 401


@pytest.mark.parametrize("error", [ValueError("bug"), KeyboardInterrupt(), None])
async def test_a_place_comes_back_however_the_request_ends(
    guarded: Authentication, app: App, error: BaseException | None
) -> None:
    for _ in range(3):
        app.error = error
        if error is None:
            assert await status(guarded, RIGHT) == 200
        else:
            with pytest.raises(type(error)):
                await status(guarded, RIGHT)
    app.error = None
    assert await status(guarded, RIGHT) == 200
