"""Server-sent events that come in pieces."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.event_counter import EventCounter

# The text of the second one looks like a frame, were it not for JSON's escapes.
EVENTS = [
    b'{"index":1}',
    rb'{"text":"\n\ndata: {}\n\n"}',
    '{"text":"é€"}'.encode(),
    b'{"generated_text":"a"}',
]
STREAM = b"".join(b"data: " + event + b"\n\n" for event in EVENTS)


@given(st.lists(st.integers(0, len(STREAM))))
def test_events_are_counted_once_wherever_the_pieces_are_cut(places: list[int]) -> None:
    counter = EventCounter()
    edges = [0, *sorted(places), len(STREAM)]

    count = sum(counter.feed(STREAM[start:end]) for start, end in itertools.pairwise(edges))

    assert (count, counter.last, counter.has_rest) == (len(EVENTS), EVENTS[-1], False)


def test_several_events_in_one_piece_all_count() -> None:
    assert EventCounter().feed(STREAM) == len(EVENTS)


def test_an_unfinished_event_does_not_count() -> None:
    counter = EventCounter()

    assert counter.feed(b"data: {}\n\ndata: {") == 1
    assert (counter.last, counter.has_rest) == (b"{}", True)


def test_there_is_no_last_event_before_the_first() -> None:
    assert EventCounter().last == b""


@given(st.lists(st.integers(0, len(STREAM) + 14)))
def test_the_end_mark_of_openai_counts_but_is_not_kept(places: list[int]) -> None:
    counter = EventCounter()
    stream = STREAM + b"data: [DONE]\n\n"
    edges = [0, *sorted(places), len(stream)]

    count = sum(counter.feed(stream[start:end]) for start, end in itertools.pairwise(edges))

    assert (count, counter.last, counter.has_rest) == (len(EVENTS) + 1, EVENTS[-1], False)
