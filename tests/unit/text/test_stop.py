"""Stop strings are found wherever the text was cut into pieces."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.text.stop import StopMatcher

# Three letters, so that stop strings overlap themselves and one another all the time.
TEXTS = st.text("abé", max_size=40)
STOPS = st.lists(st.text("abé", min_size=1, max_size=5), max_size=4)


def cut(pieces: list[str], stop: list[str]) -> tuple[str, bool]:
    """The text up to the first stop string's end, and whether one was found."""
    matcher, text = StopMatcher(stop), ""
    for piece in pieces:
        end = matcher.end_in(piece)
        if end is not None:
            assert 0 < end <= len(piece)
            return text + piece[:end], True
        text += piece
    return text, False


def expected_cut(text: str, stop: list[str]) -> tuple[str, bool]:
    for end in range(1, len(text) + 1):
        if any(text[:end].endswith(one) for one in stop):
            return text[:end], True
    return text, False


@given(text=TEXTS, stop=STOPS, places=st.lists(st.integers(0, 40), max_size=8))
def test_every_split_of_a_text_is_cut_where_the_whole_text_is(
    text: str, stop: list[str], places: list[int]
) -> None:
    borders = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    pieces = [text[start:end] for start, end in pairwise(borders)]
    assert cut(pieces, stop) == cut([text], stop) == expected_cut(text, stop)


@given(text=TEXTS, stop=STOPS)
def test_one_character_at_a_time_is_cut_where_the_whole_text_is(text: str, stop: list[str]) -> None:
    assert cut(list(text), stop) == expected_cut(text, stop)


@pytest.mark.parametrize(
    ("pieces", "stop", "text"),
    [
        (["a stop", " here, and more"], ["stop here"], "a stop here"),
        (["END"], ["END"], "END"),
        (["one", "two"], ["onetwo", "e"], "one"),
        (["aab", "aac"], ["aac"], "aabaac"),
        (["🙂", "🙃"], ["🙂🙃"], "🙂🙃"),
    ],
)
def test_the_stop_string_itself_stays_and_the_first_to_end_wins(
    pieces: list[str], stop: list[str], text: str
) -> None:
    assert cut(pieces, stop) == (text, True)


def test_without_stop_strings_nothing_is_cut() -> None:
    assert cut(["abc", "", "def"], []) == ("abcdef", False)
