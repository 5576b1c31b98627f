"""No Authorization header but a right token opens the door, and each other one counts as a failure."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.door import ENVIRONMENT_TOKEN, Door, check, new_door


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with new_door() as door:
        yield door


PIECES = st.lists(
    st.sampled_from(
        [
            *(
                "Bearer",
                "bearer",
                "BEARER ",
                "Basic",
                "Token",
                " ",
                "\t",
                "\xa0",
                "\x85",
                "\x1f",
                ",",
                "=",
                '"',
                "\0",
            ),
            *(
                "tsv_",
                "tsv_00000000_",
                "_",
                "0",
                "open",
                "-",
                "sesame",
                ENVIRONMENT_TOKEN,
                "\xff",
                "\ud800",
                "é",
            ),
        ]
    ),
    max_size=8,
).map("".join)
HEADERS = PIECES | st.text(max_size=60) | st.text(st.characters(max_codepoint=255), max_size=60)


@settings(max_examples=500)  # other work shares the machine
@given(text=HEADERS)
def test_only_a_right_token_alone_opens_the_door(door: Door, text: str) -> None:
    check(door, text)


@settings(max_examples=300)
@given(data=st.data())
def test_token_with_one_letter_changed_is_refused(door: Door, data: st.DataObject) -> None:
    token = data.draw(st.sampled_from(door.right_tokens))
    index = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.characters(max_codepoint=255).filter(lambda letter: letter != token[index]))
    assert not door.lets_in(f"Bearer {token[:index]}{letter}{token[index + 1 :]}")
    assert not door.lets_in(f"Bearer {token[:index]}{token[index + 1 :]}")
    assert door.lets_in(f"Bearer {token}")


@pytest.mark.parametrize("length", [8_000, 32_000])
@pytest.mark.parametrize("unit", ["a", " ", "tsv_00000000_", "Bearer ", "\xff"])
def test_longest_headers_are_refused(door: Door, unit: str, length: int) -> None:
    assert not door.lets_in("Bearer " + unit * (length // len(unit)))
