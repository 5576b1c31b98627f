"""The bounds of a body's JSON agree with a plain model of it, however the body is cut into chunks."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.json_bounds import JSONBounds
from service.errors import ValidationError

_AWKWARD = st.text(alphabet='[]{},"\\:é🙂 \n', max_size=12)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _AWKWARD,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_AWKWARD, inner, max_size=5),
    max_leaves=30,
)


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


def _values(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 1 if inner is None else 1 + max(1, sum(map(_values, inner)))


def _is_refused(chunks: list[bytes], *, max_depth: int = 64, max_values: int = 100_000) -> bool:
    bounds = JSONBounds(max_depth=max_depth, max_values=max_values)
    try:
        for chunk in chunks:
            bounds.feed(chunk)
    except ValidationError:
        return True
    return False


@given(value=_JSON, is_ascii=st.booleans(), indent=st.none() | st.just(2), data=st.data())
def test_depth_and_values_are_exact_however_the_text_is_cut(
    value: Any, is_ascii: bool, indent: int | None, data: st.DataObject
) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    chunks = [text[start:stop] for start, stop in pairwise([0, *cuts, len(text)])]
    depth, values = _depth(value), _values(value)
    assert not _is_refused(chunks, max_depth=max(depth, 1))
    assert depth < 2 or _is_refused(chunks, max_depth=depth - 1)
    # Below, a few more bytes than digits have would be over the bound on bytes first.
    assert values < 20 or not _is_refused(chunks, max_values=values + 100)
    assert values < 2 or _is_refused(chunks, max_values=values - 1)


def test_an_escape_may_be_cut_anywhere() -> None:
    text = rb'["\n\"[[", "\\", [["\\\"[["]], ["\u005b"]]'
    chunks = [text[index : index + 1] for index in range(len(text))]
    assert not _is_refused(chunks, max_depth=3)
    assert _is_refused(chunks, max_depth=2)


@given(value=_JSON)
def test_what_is_clearly_within_the_bounds_is_within_them(value: Any) -> None:
    text = json.dumps(value).encode()
    bounds = JSONBounds(max_depth=3, max_values=200)
    assert not (bounds.clearly_hold_for(text) and _is_refused([text], max_depth=3, max_values=200))


@given(text=st.binary(max_size=300) | st.text(alphabet='[]{},"\\:1 ', max_size=300).map(str.encode))
def test_no_bytes_break_the_count(text: bytes) -> None:
    _is_refused([text[:10], text[10:]], max_depth=4, max_values=20)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"[" * 65, "at most 64 deep"),
        (b'{"a":' * 65, "at most 64 deep"),
        (b"[" * 10_000_000, "at most 64 deep"),
        (b"[" + b"1," * 100_000, "at most 100000 values"),
        (b"{" + b'"a":1,' * 100_000, "at most 100000 values"),
        (b"[" + b"[]," * 50_001, "at most 100000 values"),
        (b"[" + b" " * 4_000_000 + b"]", "outside its strings"),
        (b"[" + (b"9" * 4_300 + b",") * 1_000, "outside its strings"),
        ('{"inputs": "a"}'.encode("utf-16"), "UTF-8"),
        ('{"inputs": "a"}'.encode("utf-16-be"), "UTF-8"),
        ('{"inputs": "a"}'.encode("utf-32-le"), "UTF-8"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_is_beyond_a_bound_is_refused_with_the_bound(text: bytes, said: str) -> None:
    bounds = JSONBounds(max_depth=64, max_values=100_000)
    assert not bounds.clearly_hold_for(text)
    with pytest.raises(ValidationError, match=said):
        bounds.feed(text)


@pytest.mark.parametrize(
    "text",
    [
        b'"' + b"[" * 200_000 + b'"',
        b'"' + b"," * 200_000 + b'"',
        b'["' + b'\\"[,' * 200_000 + b'"]',
        b'["' + b"\\\\" * 200_000 + b'"]',
        b"[" * 64 + b"]" * 64,
        b"[" + b"[]," * 1_000 + b"1]",
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_strings_hold_counts_for_nothing(text: bytes) -> None:
    assert not _is_refused([text])
    assert not _is_refused([text[start : start + 7_919] for start in range(0, len(text), 7_919)])
