"""Writes grammars in the compiler's EBNF, one small rule for every step.

xgrammar 0.1.31 merges states of a rule that it must not merge, once some of its alternatives begin alike and
others end alike (mlc-ai/xgrammar#618): the grammar then allows what it should not. No rule here has both.
Alternatives are rules that the compiler can't take into the choice, since it does so only with those that
refer to no other; or they are sets of characters, which all begin differently.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from string import hexdigits

from service.errors import ValidationError

Ranges = tuple[tuple[int, int], ...]
"""A set of characters: code points from first to last, ascending, without overlap."""

_NOTHING = "nothing"
_REFERENCE = re.compile(r"r[0-9]+|nothing")
_LITERAL = re.compile(r'"[^"]*"|\[[^]]*\]')
_BACKSLASH = "\\U0000005c"
_BY_UTF8_LENGTH = ((0x0, 0x7F), (0x80, 0x7FF), (0x800, 0xFFFF), (0x10000, 0x10FFFF))
_BLOCK = 0x1000
# Each takes the compiler 5 to 60 ms with a vocabulary of 49,152 tokens: what is far too slow is not tried.
_MOST_WIDE_STATES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelled:
    """Characters as they are written: those of `plain`, and a backslash before those of `escaped`.

    The backslash is not in `plain`; `escaped` are single letters.
    """

    plain: Ranges
    escaped: str = ""

    def __bool__(self) -> bool:
        return bool(self.plain or self.escaped)

    def classes(self) -> list[str]:
        """Their notation: one class where its ranges begin with different bytes, else one for each."""
        # Hexadecimal digits first: behind a character that is written as \x they would be read as its own.
        ordered = sorted(self.pieces(), key=lambda piece: (chr(piece[0]) not in hexdigits, piece))
        pieces = [f"{_escape(chr(first))}-{_escape(chr(last))}" for first, last in ordered]
        joined = pieces if _share_first_byte(self.pieces()) else ["".join(pieces)]
        letters = "".join(map(_escape, self.escaped))
        escaped = [f'"{_BACKSLASH}" [{letters}]'] if letters else []
        return [f"[{each}]" for each in joined if each] + escaped

    def pieces(self) -> list[tuple[int, int]]:
        """`plain` as ranges that the compiler gets right."""
        return [piece for first, last in self.plain for piece in _pieces(first, last)]


class Rules:
    """A grammar being written; expressions are names of rules, and equal ones have one name."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._bodies: dict[str, str] = {_NOTHING: '""'}
        # Rules that refer to no other.
        self._terminals: set[str] = set()
        self._wide_states = 0

    @property
    def nothing(self) -> str:
        """The empty text."""
        return _NOTHING

    def text(self, text: str) -> str:
        """Exactly this text. Raises: UnicodeEncodeError for half a surrogate pair."""
        text.encode()
        return self._terminal(_quoted(text)) if text else _NOTHING

    def one_of(self, spelled: Spelled) -> str:
        """One character of a set that is not empty."""
        classes = spelled.classes()
        if _share_first_byte(spelled.pieces()):
            return self.choice(map(self._terminal, classes))
        return self._terminal(" | ".join(classes))

    def sequence(self, parts: Iterable[str]) -> str:
        """One after the other."""
        wanted = [part for part in parts if part != _NOTHING]
        return self._add(" ".join(wanted)) if len(wanted) > 1 else (wanted or [_NOTHING])[0]

    def choice(self, choices: Iterable[str]) -> str:
        """Any one of them."""
        wanted = list(dict.fromkeys(choices))
        return self._add(" | ".join(map(self._closed, wanted))) if len(wanted) > 1 else wanted[0]

    def optional(self, part: str) -> str:
        """The part, or nothing."""
        return self.choice([_NOTHING, part])

    def repeat(self, part: str, least: int, most: int | None) -> str:
        """The part so many times; `most` None means without end."""
        if part == _NOTHING:
            return _NOTHING
        if most is None:
            end = self._add(f"{part}*")
        else:
            # The compiler's own {0,n} repeats its work for each n, and above 128 takes 0.5 s for a token.
            end = _NOTHING
            for _ in range(most - least):
                end = self._add(f'"" | {part} {end}')
        return self.sequence([*[part] * least, end])

    def reserve(self) -> str:
        """The name of a rule whose body follows: recursion needs the name first."""
        name = f"r{len(self._bodies)}"
        self._bodies[name] = ""
        return name

    def define(self, name: str, same_as: str) -> None:
        """Make a reserved rule mean what another one means."""
        self._bodies[name] = self._closed(same_as)

    def define_state(
        self, name: str, steps: Sequence[tuple[Spelled, str]], *, ending: str | None, before: Ranges = ()
    ) -> None:
        """Make a reserved rule mean a character of a set and then that set's rule, or the ending.

        Neither have the sets a character in common, nor does the ending begin with one; None is no ending.
        `before`: what alone can follow the end of the whole, if that is known.

        Raises:
            ValidationError: the grammar has too many of these that let most tokens pass.
        """
        if any(_has_all_letters(each.plain) and target != name for each, target in steps):
            self._wide_states += 1
            if self._wide_states > _MOST_WIDE_STATES:
                raise ValidationError(
                    f"it counts more than {_MOST_WIDE_STATES} characters, those of all `maxLength` together",
                    param="grammar",
                )
        pieces = sorted(piece for spelled, _ in steps for piece in spelled.pieces())
        is_clear = not _share_first_byte(pieces) and sum(bool(spelled.escaped) for spelled, _ in steps) <= 1
        following = [f"{each} {target}" for spelled, target in steps for each in spelled.classes()]
        choices = following if is_clear else [self._add(each) for each in following]
        endings = [] if ending is None else [_quoted(ending)]
        body = " | ".join([*endings, *choices])
        known = "".join(f"{_escape(chr(first))}-{_escape(chr(last))}" for first, last in before)
        self._bodies[name] = f"({body}) (= [{known}])" if known else body

    def script(self, root: str) -> str:
        """The whole grammar; `root` is what an answer must be. Rules that it doesn't need are left out."""
        needed, waiting = {root}, [root]
        while waiting:
            for name in _REFERENCE.findall(_LITERAL.sub("", self._bodies[waiting.pop()])):
                if name not in needed:
                    needed.add(name)
                    waiting.append(name)
        bodies = {"root": root} | {name: body for name, body in self._bodies.items() if name in needed}
        return "\n".join(f"{name} ::= {body}" for name, body in bodies.items())

    def _closed(self, name: str) -> str:
        """The same, but no compiler takes it into a choice."""
        return self._add(f"{name} {_NOTHING}") if name in self._terminals else name

    def _terminal(self, body: str) -> str:
        name = self._add(body)
        self._terminals.add(name)
        return name

    def _add(self, body: str) -> str:
        if body not in self._names:
            self._names[body] = name = self.reserve()
            self._bodies[name] = body
        return self._names[body]


def _pieces(first: int, last: int) -> Iterator[tuple[int, int]]:
    """The range as ranges that the compiler gets right.

    In xgrammar 0.1.31 a range over several first bytes of three loses the characters of the last one, unless
    it has all 4,096 of them; that byte stays allowed, but none can follow it.
    """
    for lowest, highest in _BY_UTF8_LENGTH:
        low, high = max(first, lowest), min(last, highest)
        block = high - high % _BLOCK
        if low < block and high >= _BLOCK and (high + 1) % _BLOCK:
            yield low, block - 1
            yield block, high
        elif low <= high:
            yield low, high


def _share_first_byte(ranges: Sequence[tuple[int, int]]) -> bool:
    """Whether the UTF-8 of two of the ranges begins alike."""
    return any(chr(left[1]).encode()[0] == chr(right[0]).encode()[0] for left, right in pairwise(ranges))


def _has_all_letters(ranges: Ranges) -> bool:
    return any(first <= ord("a") and ord("z") <= last for first, last in ranges)


def _quoted(text: str) -> str:
    """The text in quotes, ended and begun anew where a digit would be read as part of the code before it.

    xgrammar writes grammars out and reads them again, characters below 256 as \\x and all digits behind.
    """
    parts = [""]
    for before, character in pairwise(f" {text}"):
        if not before.isprintable() or not before.isascii():
            parts += [""] if character in hexdigits else []
        parts[-1] += _escape(character)
    return " ".join(f'"{part}"' for part in parts)


def _escape(character: str) -> str:
    """One character; always with eight digits, since \\x takes any number of them."""
    return character if character.isascii() and character.isalnum() else f"\\U{ord(character):08x}"
