"""Stop strings are found wherever the text was cut into pieces."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.text.stop import StopMatcher

# Three letters, so that stop strings overlap themselves and one another all the time.
TEXTS = st.text("abé", max_size=40)
STOPS = st.lists(st.text("abé", min_size=1, max_size=5), max_size=4)


def cut(pieces: list[str], stop: list[str], *, keep: bool = True) -> tuple[str, bool]:
    """What is released of a text, and whether a stop string was found."""
    matcher, text = StopMatcher(stop, keep=keep), ""
    for piece in pieces:
        text += matcher.add(piece)
        if matcher.has_hit:
            return text, True
        assert not keep or text.endswith(piece)
    return text + matcher.flush(), False


def expected_cut(text: str, stop: list[str], *, keep: bool = True) -> tuple[str, bool]:
    for end in range(1, len(text) + 1):
        found = [len(one) for one in stop if text[:end].endswith(one)]
        if found:
            return text[: end if keep else end - max(found)], True
    return text, False


@given(text=TEXTS, stop=STOPS, places=st.lists(st.integers(0, 40), max_size=8))
def test_every_split_of_a_text_is_cut_where_the_whole_text_is(
    text: str, stop: list[str], places: list[int]
) -> None:
    borders = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    pieces = [text[start:end] for start, end in pairwise(borders)]
    for keep in (True, False):
        assert cut(pieces, stop, keep=keep) == cut([text], stop, keep=keep)
        assert cut(pieces, stop, keep=keep) == expected_cut(text, stop, keep=keep)


@given(text=TEXTS, stop=STOPS)
def test_nothing_waits_that_can_be_no_stop_string(text: str, stop: list[str]) -> None:
    matcher, released = StopMatcher(stop, keep=False), ""
    for end in range(1, len(text) + 1):
        released += matcher.add(text[end - 1])
        if matcher.has_hit:
            return
        waiting = text[len(released) : end]
        assert not waiting or any(one.startswith(waiting) for one in stop)


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
