"""Sets of characters, and how they are spelled: in plain text, and in the strings of JSON."""

from itertools import pairwise

from service.engine.backends.ebnf.notation import Ranges, Spelled

# Unicode without surrogates, which are no characters, and without zero, which ends the compiler's strings.
EVERY: Ranges = ((0x1, 0xD7FF), (0xE000, 0x10FFFF))
# What JSON strings hold as it is: neither control characters nor the quote nor the backslash.
UNESCAPED: Ranges = ((0x20, 0x21), (0x23, 0x5B), (0x5D, 0x7E), (0xA0, 0xD7FF), (0xE000, 0x10FFFF))
_ESCAPES = {"\b": "b", "\t": "t", "\n": "n", "\f": "f", "\r": "r", '"': '"', "\\": "\\"}


def in_json(ranges: Ranges) -> Spelled:
    """How the members are spelled in a JSON string; those are left out that would need a code."""
    escaped = "".join(letter for character, letter in _ESCAPES.items() if holds(ranges, character))
    return Spelled(plain=intersection(ranges, UNESCAPED), escaped=escaped)


def as_they_are(ranges: Ranges) -> Spelled:
    """How the members are spelled in plain text."""
    return Spelled(plain=ranges)


def only(character: str) -> Ranges:
    """The set of one."""
    return ((ord(character), ord(character)),)


def holds(ranges: Ranges, character: str) -> bool:
    """Whether the set has this member."""
    return any(first <= ord(character) <= last for first, last in ranges)


def union(*sets: Ranges) -> Ranges:
    """All members of all sets."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(each for ranges in sets for each in ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def intersection(one: Ranges, other: Ranges) -> Ranges:
    """What both have."""
    return tuple(sorted((max(a, c), min(b, d)) for a, b in one for c, d in other if max(a, c) <= min(b, d)))


def complement(ranges: Ranges) -> Ranges:
    """All characters but these."""
    edges = [(-1, -1), *ranges, (0x110000, 0x110000)]
    gaps = tuple((left[1] + 1, right[0] - 1) for left, right in pairwise(edges) if right[0] - left[1] > 1)
    return intersection(gaps, EVERY)
