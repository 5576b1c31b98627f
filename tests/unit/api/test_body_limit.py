"""Bodies are read within their bounds, and what they held is free again whatever comes of them."""

import json
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message, Receive, Scope, Send

from service.api.body_limit import BodyLimit
from service.settings import LimitSettings

MAX_BYTES = 100
GONE: Message = {"type": "http.disconnect"}


class _Application:
    """Reads the body and keeps it; `meanwhile` runs while it holds it."""

    def __init__(self, meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
        self.bodies: list[bytes] = []
        self._meanwhile = meanwhile

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        self.bodies.append((await receive())["body"])
        if self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            await meanwhile()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})


def _chunks(*parts: bytes, ends: bool = True) -> list[Message]:
    last = len(parts) - 1 if ends else len(parts)
    return [
        {"type": "http.request", "body": part, "more_body": index != last} for index, part in enumerate(parts)
    ]


async def _post(
    limit: BodyLimit, messages: list[Message], *headers: tuple[str, str], method: str = "POST"
) -> tuple[int, str]:
    """Send a request; its status (0: no answer) and its message."""
    left = [*messages, GONE]
    sent: list[Message] = []

    async def receive() -> Message:
        return left.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    if not any(name == "content-type" for name, _ in headers):
        headers = (("content-type", "application/json"), *headers)
    given = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "method": method, "path": "/generate", "headers": given}
    await limit(scope, receive, send)
    if not sent:
        return 0, ""
    text = b"".join(message.get("body", b"") for message in sent).decode()
    return sent[0]["status"], text if text == "fine" else json.loads(text)["error"]["message"]


def _limit(application: _Application, **limits: int) -> BodyLimit:
    return BodyLimit(application, max_bytes=MAX_BYTES, limits=LimitSettings(**limits))


async def test_a_body_in_parts_arrives_as_one() -> None:
    application = _Application()
    assert await _post(_limit(application), _chunks(b'{"a', b'":', b"1}")) == (200, "fine")
    assert application.bodies == [b'{"a":1}']


@pytest.mark.parametrize("size", [MAX_BYTES, MAX_BYTES + 1])
async def test_the_limit_of_bytes_is_exact_with_or_without_a_declared_length(size: int) -> None:
    body = b'"' + b"a" * (size - 2) + b'"'
    for messages in (_chunks(body), _chunks(body[:50], body[50:])):
        for headers in ((), (("content-length", str(size)),)):
            status, said = await _post(_limit(_Application()), messages, *headers)
            assert (status == 413) is (size > MAX_BYTES)
            assert (str(MAX_BYTES) in said) is (size > MAX_BYTES)


async def test_a_length_of_thousands_of_digits_is_too_large() -> None:
    status, _ = await _post(_limit(_Application()), _chunks(b"{}"), ("content-length", "9" * 5_000))
    assert status == 413


async def test_other_methods_have_room_for_little() -> None:
    limit = BodyLimit(_Application(), max_bytes=2**24, limits=LimitSettings())
    assert (await _post(limit, _chunks(b'"' + b"a" * 2**16 + b'"'), method="GET"))[0] == 413
    assert (await _post(limit, _chunks(b""), method="GET"))[0] == 200


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, identity", "GZIP"])
async def test_a_compressed_body_is_refused_by_name(coding: str) -> None:
    application = _Application()
    status, said = await _post(_limit(application), _chunks(b"\x1f\x8b"), ("content-encoding", coding))
    assert (status, coding in said) == (400, True)
    assert application.bodies == []
    assert (await _post(_limit(application), _chunks(b"{}"), ("content-encoding", "identity")))[0] == 200


async def test_json_is_refused_while_it_arrives() -> None:
    application = _Application()
    status, said = await _post(
        _limit(application, max_json_depth=3), _chunks(b"[[", b"[[", b"]]", b"]]", ends=False)
    )
    assert (status, "at most 3 deep" in said) == (400, True)
    assert application.bodies == []


async def test_a_refused_body_is_read_on_so_that_its_sender_sees_the_answer() -> None:
    messages = _chunks(b"[" * 65, *[b"a" * 50] * 9)

    async def receive() -> Message:
        return messages.pop(0)

    sent: list[Message] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            assert messages == []
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/generate", "headers": headers}
    await _limit(_Application())(scope, receive, send)
    assert dict(sent[0]["headers"])[b"connection"] == b"close"
    assert json.loads(sent[1]["body"])["error"]["code"] == 400
    assert not sent[-1].get("more_body")


async def test_what_is_no_json_by_its_type_has_no_depth() -> None:
    limit = _limit(_Application(), max_json_depth=3)
    assert (await _post(limit, _chunks(b"[[[["), ("content-type", "text/plain")))[0] == 200
    both = (("content-type", "application/json"), ("content-type", "text/plain"))
    assert (await _post(limit, _chunks(b"[[[["), *both))[0] == 400


async def test_a_body_for_which_there_is_no_room_beside_the_others_is_503_until_they_end() -> None:
    statuses: list[int] = []

    async def second() -> None:
        for body, *headers in (
            (b'"' + b"b" * 38 + b'"',),
            (b'"' + b"b" * 39 + b'"',),
            (b"{}", ("content-length", "41")),
        ):
            statuses.append((await _post(limit, _chunks(body), *headers))[0])

    limit = _limit(_Application(second), max_buffered_bytes=MAX_BYTES)
    assert (await _post(limit, _chunks(b'"' + b"a" * 58 + b'"')))[0] == 200
    assert statuses == [200, 503, 503]
    assert (await _post(limit, _chunks(b'"' + b"a" * 98 + b'"')))[0] == 200


async def test_a_503_says_when_to_try_again() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return _chunks(b'"' + b"a" * 50 + b'"')[0]

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/generate", "headers": []}
    await _limit(_Application(), max_buffered_bytes=10)(scope, receive, send)
    assert (sent[0]["status"], dict(sent[0]["headers"])[b"retry-after"]) == (503, b"1")


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([*_chunks(b'"' + b"a" * 90, ends=False), GONE], 0),
        (_chunks(b'"' + b"a" * 90, b"a" * 90, ends=False), 413),
        (_chunks(b'"' + b"a" * 90, b'",' + b"[" * 65 + b"\0", ends=False), 413),
        (_chunks(b"[" * 65 + b"a" * 30, ends=False), 400),
        (_chunks(b'"' + b"a" * 90 + b'"'), 200),
    ],
    ids=["left", "too large", "too large and no JSON", "too deep", "good"],
)
async def test_whatever_comes_of_a_body_its_bytes_are_free_afterwards(
    messages: list[Message], status: int
) -> None:
    limit = _limit(_Application(), max_buffered_bytes=MAX_BYTES)
    for _ in range(3):
        assert (await _post(limit, messages))[0] == status
    assert (await _post(limit, _chunks(b'"' + b"a" * 98 + b'"')))[0] == 200


async def test_an_application_that_fails_frees_them_too() -> None:
    async def fail() -> None:
        raise RuntimeError

    limit = _limit(_Application(fail), max_buffered_bytes=MAX_BYTES)
    with pytest.raises(RuntimeError):
        await _post(limit, _chunks(b'"' + b"a" * 98 + b'"'))
    assert (await _post(limit, _chunks(b'"' + b"a" * 98 + b'"')))[0] == 200
