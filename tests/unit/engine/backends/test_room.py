"""Requests get room to their end, or wait."""

from service.engine.backends.room import Room


def test_who_does_not_fit_beside_the_others_waits_until_one_gives_back() -> None:
    room = Room(1000)
    assert room.take(1, 400)
    assert room.take(2, 400)
    assert not room.take(3, 100)
    room.give_back(1)
    assert room.take(3, 100)


def test_who_is_alone_gets_any_number_so_that_nobody_waits_for_ever() -> None:
    room = Room(100)
    assert room.take(1, 5000)
    assert not room.take(2, 1)
    room.give_back(1)
    assert not room
    assert room.take(2, 1)


def test_giving_back_what_was_not_taken_changes_nothing() -> None:
    room = Room(100)
    room.give_back(7)
    assert not room
