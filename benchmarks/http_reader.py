"""Reads one HTTP/1.1 response from the pieces a socket gives."""

from benchmarks.errors import BenchmarkError

_HEAD_END = b"\r\n\r\n"
_LINE_END = b"\r\n"


class ChunkedReader:
    """Takes the chunked transfer coding off a body (RFC 9112, 7.1); trailers are not read."""

    def __init__(self) -> None:
        self._buffer = b""
        self.is_complete = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes off the wire; return what they bring of the body: whole chunks only."""
        buffer = self._buffer + data if self._buffer else data
        pieces: list[bytes] = []
        start = 0
        while not self.is_complete:
            line_end = buffer.find(_LINE_END, start)
            if line_end < 0:
                break
            size = _chunk_size(buffer[start:line_end])
            body_start = line_end + len(_LINE_END)
            chunk_end = body_start + size + len(_LINE_END)
            if len(buffer) < chunk_end:
                break
            pieces.append(buffer[body_start : body_start + size])
            start = chunk_end
            self.is_complete = size == 0
        self._buffer = buffer[start:]
        return b"".join(pieces)


class LengthReader:
    """Reads a body whose length was declared."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.is_complete = length == 0

    def feed(self, data: bytes) -> bytes:
        """Take bytes off the wire; return those of the body."""
        body = data[: self._left]
        self._left -= len(body)
        self.is_complete = self._left == 0
        return body


class ResponseReader:
    """Reads head and body. `status` is None until the head is whole; header names are in lower case."""

    def __init__(self) -> None:
        self._head = b""
        self._body: ChunkedReader | LengthReader | None = None
        self.status: int | None = None
        self.headers: dict[str, str] = {}

    @property
    def is_complete(self) -> bool:
        """Whether the whole response was read."""
        return self._body is not None and self._body.is_complete

    def feed(self, data: bytes) -> bytes:
        """Take bytes off the wire; return what they bring of the body.

        Raises:
            BenchmarkError: this is no HTTP/1.1 response.
        """
        if self._body is not None:
            return self._body.feed(data)
        self._head += data
        head, end, rest = self._head.partition(_HEAD_END)
        if not end:
            return b""
        self._head = b""
        self.status, self.headers = _parse_head(head)
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            self._body = ChunkedReader()
        else:
            self._body = LengthReader(_length(self.headers.get("content-length", "0")))
        return self._body.feed(rest)


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    status_line, *lines = head.decode("latin-1").split("\r\n")
    words = status_line.split(" ", 2)
    if not words[0].startswith("HTTP/1.") or len(words) < 2 or not words[1].isdecimal():
        raise BenchmarkError(f"not an HTTP/1.1 response: {status_line[:80]!r}")
    pairs = (line.partition(":") for line in lines)
    return int(words[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}


def _length(declared: str) -> int:
    if not declared.isdecimal():
        raise BenchmarkError(f"not a body's length: {declared[:40]!r}")
    return int(declared)


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError as error:
        raise BenchmarkError(f"not a chunk's size: {line[:40]!r}") from error
