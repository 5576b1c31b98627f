"""Promises of the KV cache never exceed it."""

from service.engine.backends.reservation import Reservations


def test_a_request_waits_until_others_give_their_blocks_back() -> None:
    room = Reservations(blocks=4, block_tokens=32)
    assert room.reserve(1, 64)
    assert room.reserve(2, 33)
    assert not room.reserve(3, 1)
    room.release(1)
    assert room.reserve(3, 1)


def test_what_no_empty_cache_could_hold_is_known_at_once() -> None:
    room = Reservations(blocks=4, block_tokens=32)
    assert room.can_ever_hold(128)
    assert not room.can_ever_hold(129)


def test_a_refused_promise_takes_nothing_and_unknown_releases_are_harmless() -> None:
    room = Reservations(blocks=2, block_tokens=32)
    assert not room.reserve(1, 100)
    room.release(1)
    room.release(7)
    assert room.reserve(2, 64)
