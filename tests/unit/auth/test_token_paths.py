"""A wrong token learns nothing from the path it takes, however much of a right one it knows.

Not timed, but traced: the byte-code instructions that run in this project for a wrong token are the
same ones, whatever it shares with a right token.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from service.auth.token_text import checksum, new_token
from service.auth.tokens import TokenStore

TOKENS = 20
ID_AT, SECRET_AT, CHECKSUM_AT = 4, 13, 46

Step = tuple[str, int]


@pytest.fixture(params=[None, "open-sesame"], ids=["file-alone", "with-environment"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TokenStore:
    # A clock that stands still: no look at the file falls into one of the traces by its time.
    return TokenStore(tmp_path / "tokens.json", environment_token=request.param, clock=lambda: 0.0)


def with_prefix(text: str, length: int) -> str:
    """Another token of a right checksum that begins like `text` for just `length` letters."""
    others = "".join("b" if letter == "a" else "a" for letter in text[length:CHECKSUM_AT])
    body = text[:length] + (others if length < ID_AT else keep_form(others, length))
    return body + checksum(body)


def keep_form(rest: str, length: int) -> str:
    underscore = SECRET_AT - 1 - length
    return rest[:underscore] + "_" + rest[underscore + 1 :] if underscore >= 0 else rest


def steps(call: Callable[[], object], *, instructions: bool, within: str = "/service/") -> list[Step]:
    """Every line, or every instruction, that runs in files of that folder."""
    taken: list[Step] = []

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        if within not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = instructions
        place = frame.f_lasti if instructions else frame.f_lineno
        if event == ("opcode" if instructions else "line"):
            taken.append((frame.f_code.co_qualname, place))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return taken


def test_wrong_tokens_of_every_prefix_length_take_the_same_path(store: TokenStore) -> None:
    right = [store.create(f"t{number}") for number in range(TOKENS)]
    for text in (right[0], right[-1]):
        paths = []
        for length in range(ID_AT, CHECKSUM_AT):
            if length == SECRET_AT - 1:
                continue  # the underscore is everybody's
            wrong = with_prefix(text, length)
            assert wrong[:length] == text[:length]
            assert wrong[length] != text[length]
            assert store.verify(wrong) == "wrong_token"
            paths.append(steps(lambda wrong=wrong: store.verify(wrong), instructions=True))
        assert len(paths) == 41
        assert len(paths[0]) > 100
        assert all(path == paths[0] for path in paths)


def test_wrong_tokens_without_even_the_form_run_the_same_lines(store: TokenStore) -> None:
    text = store.create("laptop")
    formed = with_prefix(text, 20)
    assert store.verify(formed) == "wrong_token"  # the first look after the write reads the file
    reference = steps(lambda: store.verify(formed), instructions=False)
    assert reference
    for length in range(ID_AT):
        wrong = with_prefix(text, length)
        assert steps(lambda wrong=wrong: store.verify(wrong), instructions=False) == reference


def test_misspelt_tokens_take_one_path_and_never_reach_the_stored_ones(store: TokenStore) -> None:
    text = store.create("laptop")
    paths = []
    for place in (*range(ID_AT, SECRET_AT - 1), *range(SECRET_AT, len(text))):
        wrong = text[:place] + ("b" if text[place] == "a" else "a") + text[place + 1 :]
        assert store.verify(wrong) == "malformed"
        paths.append(steps(lambda wrong=wrong: store.verify(wrong), instructions=True))
    assert all(path == paths[0] for path in paths)
    assert not [name for name, _ in paths[0] if name.startswith("TokenWatch")]


def test_the_trace_sees_a_comparison_that_ends_early() -> None:
    """The tests above would see this fault: letters compared one by one until they differ."""
    text = new_token()[1]

    def is_equal(candidate: str) -> bool:
        return all(one == other for one, other in zip(candidate, text, strict=False))

    paths = []
    for length in (5, 30):
        wrong = with_prefix(text, length)
        paths.append(steps(lambda wrong=wrong: is_equal(wrong), instructions=True, within="/tests/"))
    assert paths[0]
    assert paths[0] != paths[1]
