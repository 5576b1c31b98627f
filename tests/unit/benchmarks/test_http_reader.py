"""Responses that come in pieces."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.errors import BenchmarkError
from benchmarks.http_reader import ChunkedReader, ResponseReader

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n2;name=value\r\n\r\n\r\n0\r\n\r\n"
)
CHUNKED_BODY = b"helloabcdefghijklmnopqrstuvwxyz\r\n"
SIZED = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\nRetry-After: 1\r\n\r\nbusy"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(st.integers(0, 1000)))
def test_a_chunked_body_is_whole_wherever_the_reads_are_cut(places: list[int]) -> None:
    reader = ResponseReader()

    body = b"".join(reader.feed(piece) for piece in cut(CHUNKED, places))

    assert (reader.status, body, reader.is_complete) == (200, CHUNKED_BODY, True)
    assert reader.headers["content-type"] == "text/event-stream; charset=utf-8"


@given(st.lists(st.integers(0, 1000)))
def test_a_body_of_known_length_is_whole_wherever_the_reads_are_cut(places: list[int]) -> None:
    reader = ResponseReader()

    body = b"".join(reader.feed(piece) for piece in cut(SIZED, places))

    assert (reader.status, body, reader.is_complete) == (429, b"busy", True)
    assert reader.headers["retry-after"] == "1"


@pytest.mark.parametrize("response", [CHUNKED, SIZED])
def test_a_response_is_incomplete_without_its_last_byte(response: bytes) -> None:
    reader = ResponseReader()

    reader.feed(response[:-1])

    assert not reader.is_complete


def test_an_empty_body_completes_with_the_head() -> None:
    reader = ResponseReader()

    assert reader.feed(b"HTTP/1.1 204 No Content\r\n\r\n") == b""
    assert reader.is_complete


def test_chunks_come_out_as_soon_as_they_are_whole() -> None:
    reader = ChunkedReader()

    assert reader.feed(b"3\r\nabc\r\n3\r\nde") == b"abc"
    assert reader.feed(b"f\r\n") == b"def"
    assert not reader.is_complete


@pytest.mark.parametrize("response", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_not_http_is_refused(response: bytes) -> None:
    with pytest.raises(BenchmarkError, match=r"not an HTTP/1\.1 response"):
        ResponseReader().feed(response)


def test_a_broken_chunk_is_refused() -> None:
    with pytest.raises(BenchmarkError, match="not a chunk's size"):
        ChunkedReader().feed(b"xyz\r\nabc\r\n")
