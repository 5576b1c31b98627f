import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from service.errors import ValidationError
from service.prompt.images.policy import ImagePolicy
from service.prompt.images.remote import RemoteImages, is_public

HOSTS = ("images.example.com", "*.cdn.example.com", "http://plain.example.com", "http://*.plain.example.com")
BODY = b"\x89PNG what follows is for the decoder"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Host:
    """A host that answers every request with `answer`; `plain.example.com` resolves to it."""

    def __init__(self, answer: bytes, *, pause_s: float = 0.0, closes: bool = True) -> None:
        self.answer = answer
        self.pause_s = pause_s
        self.closes = closes
        self.requests: list[bytes] = []
        self.lookups: list[str] = []
        self.addresses = ["127.0.0.1"]
        self.port = 0
        self._serving: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Host"]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self
            await asyncio.gather(*self._serving)

    async def fetch(
        self, url: str = "", *, allowed: Callable[[str], bool] = lambda _: True, **policy: object
    ) -> bytes:
        """What a service with that policy fetches; no `url` is one of this host's."""
        remote = RemoteImages(
            ImagePolicy(remote_hosts=HOSTS, **policy),  # type: ignore[arg-type]
            resolve=self._resolve,
            is_allowed_address=allowed,
        )
        url = url or f"http://plain.example.com:{self.port}/a.png?b=c"
        return await remote.fetch(url, name="inputs", which="the image")

    async def _resolve(self, host: str, _port: int) -> list[str]:
        self.lookups.append(host)
        return self.addresses

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.append(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        with suppress(ConnectionError):
            for start in range(0, len(self.answer), 2**16):
                writer.write(self.answer[start : start + 2**16])
                await writer.drain()
                await asyncio.sleep(self.pause_s)
            if not self.closes:
                await reader.read()
        writer.close()


async def refusal(host: Host, url: str = "", **settings: object) -> str:
    with pytest.raises(ValidationError) as error:
        await host.fetch(url, **settings)  # type: ignore[arg-type]
    assert error.value.param == "inputs"
    return str(error.value)


async def test_a_picture_is_fetched_with_nothing_of_the_clients() -> None:
    async with Host(OK).running() as host:
        assert await host.fetch() == BODY
    assert host.lookups == ["plain.example.com"]
    line, *headers = host.requests[0].decode().strip().lower().split("\r\n")
    assert line == "get /a.png?b=c http/1.1"
    names = {header.partition(":")[0] for header in headers}
    assert names == {"host", "user-agent", "accept", "connection"}


async def test_chunks_are_put_together() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    async with Host(answer).running() as host:
        assert await host.fetch() == b"abcde"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 204, 404, 500])
async def test_a_redirect_is_not_followed_and_other_answers_are_refused(status: int) -> None:
    answer = b"HTTP/1.1 %d X\r\nLocation: http://127.0.0.1/secret\r\nContent-Length: 0\r\n\r\n" % status
    async with Host(answer).running() as host:
        assert f"its host answers {status}" in await refusal(host)
    assert len(host.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.org/a.png",
        "https://images.example.com.evil.org/a.png",
        "https://evilimages.example.com/a.png",
        "https://cdn.example.com/a.png",
        "https://evilcdn.example.com/a.png",
        "http://images.example.com/a.png",
        "https://plain.example.com/a.png",
        "http://plain.example.com@127.0.0.1/a.png",
        "http://user:password@plain.example.com/a.png",
        "ftp://plain.example.com/a.png",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/a.png",
        "https:///a.png",
    ],
)
async def test_a_host_that_is_not_allowed_is_not_even_looked_up(url: str) -> None:
    host = Host(OK)
    assert "this service does not fetch from" in await refusal(host, url)
    assert host.lookups == []


async def test_a_host_below_an_allowed_one_is_fetched_from() -> None:
    async with Host(OK).running() as host:
        assert await host.fetch(f"http://a.b.plain.example.com:{host.port}/") == BODY
        assert await host.fetch(f"http://PLAIN.example.com:{host.port}") == BODY


async def test_without_allowed_hosts_nothing_is_fetched() -> None:
    with pytest.raises(ValidationError, match="this service fetches none"):
        await RemoteImages(ImagePolicy()).fetch("https://example.com/a.png", name="inputs", which="the image")


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], []])
async def test_an_allowed_host_with_an_address_inside_is_refused_before_connecting(
    addresses: list[str],
) -> None:
    async with Host(OK).running() as host:
        host.addresses = addresses
        assert "whose address is not public" in await refusal(host, allowed=is_public)
    assert host.requests == []


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:a00:1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::1"),
    ],
)
def test_addresses_inside_are_not_public_however_they_are_wrapped(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert is_public(address)


async def test_a_body_over_the_limit_is_refused_while_it_arrives() -> None:
    endless = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 5_000_000
    async with Host(endless, pause_s=0.001, closes=False).running() as host:
        assert "has more than 100000 bytes" in await refusal(host, max_bytes=100_000)


async def test_a_body_of_exactly_the_limit_is_taken() -> None:
    async with Host(OK).running() as host:
        assert await host.fetch(max_bytes=len(BODY)) == BODY
        assert "has more than" in await refusal(host, max_bytes=len(BODY) - 1)


@pytest.mark.parametrize("answer", [b"", OK[:20], OK[:-3]])
async def test_a_host_that_does_not_end_its_answer_is_given_up_in_time(answer: bytes) -> None:
    async with Host(answer, closes=False).running() as host:
        assert "could not be fetched within 0.2 s" in await refusal(host, remote_timeout_s=0.2)


@pytest.mark.parametrize(
    "answer", [b"", OK[:-3], b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 99999]
)
async def test_an_answer_cut_short_or_no_http_is_refused(answer: bytes) -> None:
    async with Host(answer).running() as host:
        assert "could not be fetched from its host" in await refusal(host)


@pytest.mark.parametrize(
    "url", ["http://plain.example.com:99999/", "http://plain.example.com:x/", "http://["]
)
async def test_an_address_that_is_none_is_refused(url: str) -> None:
    assert "the image" in await refusal(Host(OK), url)


async def test_a_host_that_is_away_is_refused() -> None:
    async with Host(OK).running() as host:
        pass
    assert "could not be fetched from its host" in await refusal(host)
