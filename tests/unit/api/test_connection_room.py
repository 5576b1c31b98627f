"""Who gives way to another connection."""

from service.api.connection_room import Room


class Guest:
    def __init__(self) -> None:
        self.has_given_way = False

    def give_way(self) -> None:
        self.has_given_way = True


def full_room() -> tuple[Room, list[Guest]]:
    room, guests = Room(max_connections=3), [Guest() for _ in range(3)]
    assert all(room.admit(guest, open_connections=count) for count, guest in enumerate(guests, 1))
    return room, guests


def gave_way(guests: list[Guest]) -> list[bool]:
    return [guest.has_given_way for guest in guests]


def test_nobody_gives_way_while_there_is_room() -> None:
    _, guests = full_room()
    assert gave_way(guests) == [False] * 3


def test_the_one_that_waits_longest_gives_way() -> None:
    room, guests = full_room()
    assert room.admit(Guest(), open_connections=4)
    assert gave_way(guests) == [True, False, False]
    assert room.ended == {"gave_way": 1}


def test_one_that_was_busy_meanwhile_waits_anew() -> None:
    room, guests = full_room()
    room.leave(guests[0])
    room.wait(guests[0])
    assert room.admit(Guest(), open_connections=4)
    assert gave_way(guests) == [False, True, False]


def test_one_that_is_told_twice_to_wait_waits_from_the_last_time() -> None:
    room, guests = full_room()
    room.wait(guests[0])
    assert room.admit(Guest(), open_connections=4)
    assert gave_way(guests) == [False, True, False]


def test_where_all_are_busy_nobody_comes_in() -> None:
    room, guests = full_room()
    for guest in guests:
        room.leave(guest)
    assert not room.admit(Guest(), open_connections=4)
    assert gave_way(guests) == [False] * 3


def test_a_new_one_gives_way_in_its_turn() -> None:
    room, _ = full_room()
    newcomers = [Guest() for _ in range(5)]
    assert all(room.admit(guest, open_connections=4) for guest in newcomers)
    assert gave_way(newcomers) == [True, True, False, False, False]
