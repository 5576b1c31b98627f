"""Fetches pictures by URL, from hosts that the operator allows."""

import asyncio
import ipaddress
import ssl
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import SplitResult, urlsplit

import h11

from service.errors import ValidationError
from service.prompt.images.policy import ImagePolicy

_CHUNK_BYTES = 2**16
_PORTS = {"https": 443, "http": 80}
_AGENT = "tiber-serve"

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class _RefusedError(Exception):
    """Why nothing was fetched, in words for the client."""


async def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host. Raises: OSError when there is none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
    return [str(address[4][0]) for address in found]


def is_public(address: str) -> bool:
    """Whether an address is of the open Internet, other addresses wrapped in it considered."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        wrapped = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo or (None, None))[1]
        if wrapped is None and parsed in ipaddress.ip_network("64:ff9b::/96"):
            wrapped = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if wrapped is not None:
            return wrapped.is_global
    return parsed.is_global and not parsed.is_multicast


class RemoteImages:
    """GET without redirects, to an address that was checked and is not looked up again."""

    def __init__(
        self,
        policy: ImagePolicy,
        *,
        resolve: Resolve = resolve,
        is_allowed_address: Callable[[str], bool] = is_public,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy
        self._resolve = resolve
        self._is_allowed_address = is_allowed_address
        self._tls = tls

    async def fetch(self, url: str, *, name: str, which: str) -> bytes:
        """The body of the answer.

        Raises:
            ValidationError: the host is not allowed, or gives no answer that is short and quick enough.
        """
        try:
            async with asyncio.timeout(self._policy.remote_timeout_s):
                return await self._fetch(self._allowed(url))
        except _RefusedError as error:
            raise ValidationError(f"{which} {error}", param=name) from error
        except TimeoutError as error:
            late = f"could not be fetched within {self._policy.remote_timeout_s:g} s"
            raise ValidationError(f"{which} {late}", param=name) from error
        except (OSError, h11.ProtocolError, ValueError) as error:
            raise ValidationError(f"{which} could not be fetched from its host", param=name) from error

    def _allowed(self, url: str) -> SplitResult:
        hosts = self._policy.remote_hosts
        if not hosts:
            raise _RefusedError("is a URL, and this service fetches none: send the image itself, in base64")
        parts = urlsplit(url)
        host = parts.hostname or ""
        wanted = host if parts.scheme == "https" else f"{parts.scheme}://{host}"
        if not any(_matches(wanted, pattern) for pattern in hosts) or parts.username or parts.password:
            raise _RefusedError("is on a host that this service does not fetch from: send the image itself")
        return parts

    async def _fetch(self, url: SplitResult) -> bytes:
        host = url.hostname or ""
        port = url.port or _PORTS[url.scheme]
        addresses = await self._resolve(host, port)
        if not addresses or not all(self._is_allowed_address(one) for one in addresses):
            raise _RefusedError("is on a host whose address is not public")
        tls = (self._tls or ssl.create_default_context()) if url.scheme == "https" else None
        reader, writer = await asyncio.open_connection(
            addresses[0], port, ssl=tls, server_hostname=host if tls else None
        )
        try:
            return await self._get(url, reader, writer)
        finally:
            writer.close()

    async def _get(
        self, url: SplitResult, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        connection = h11.Connection(h11.CLIENT)
        headers = [
            ("host", url.netloc),
            ("user-agent", _AGENT),
            ("accept", "image/*"),
            ("connection", "close"),
        ]
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        request = h11.Request(method="GET", target=target, headers=headers)
        writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
        body = bytearray()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(_CHUNK_BYTES))
            elif isinstance(event, h11.Response) and event.status_code != 200:
                raise _RefusedError(f"could not be fetched: its host answers {event.status_code}")
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > self._policy.max_bytes:
                    raise _RefusedError(f"has more than {self._policy.max_bytes} bytes")
            elif isinstance(event, h11.EndOfMessage):
                return bytes(body)


def _matches(host: str, pattern: str) -> bool:
    """`*.example.com` is every host below example.com; http:// must be in the pattern to be allowed."""
    scheme, _, name = pattern.rpartition("://")
    prefix = "http://" if scheme == "http" else ""
    if name.startswith("*."):
        return host.startswith(prefix) and host.removeprefix(prefix).endswith(name[1:])
    return host == prefix + name
