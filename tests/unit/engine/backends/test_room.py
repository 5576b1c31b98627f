"""Requests get room to their end, or wait."""

from service.engine.backends.room import Room


def test_a_request_waits_until_others_give_their_blocks_back() -> None:
    room = Room(blocks=4, block_tokens=32)
    assert room.take(1, 64)
    assert room.take(2, 33)
    assert not room.take(3, 1)
    room.give_back(1)
    assert room.take(3, 1)


def test_what_no_empty_cache_could_hold_is_known_at_once() -> None:
    room = Room(blocks=4, block_tokens=32)
    assert room.can_ever_hold(128)
    assert not room.can_ever_hold(129)


def test_who_is_alone_gets_any_number_so_that_nobody_waits_for_ever() -> None:
    room = Room(blocks=100)
    assert room.take(1, 5000)
    assert not room.take(2, 1)
    room.give_back(1)
    assert not room
    assert room.take(2, 1)


def test_a_refused_promise_takes_nothing_and_unknown_returns_are_harmless() -> None:
    room = Room(blocks=2, block_tokens=32)
    assert room.take(1, 32)
    assert not room.take(2, 33)
    room.give_back(2)
    room.give_back(7)
    assert (1 in room, 2 in room, len(room)) == (True, False, 1)
    assert room.take(2, 32)
