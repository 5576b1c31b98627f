"""Writes grammars in the compiler's EBNF, one small rule for every step.

xgrammar 0.1.31 merges states of a rule that it must not merge, once some of its alternatives begin alike and
others end alike (mlc-ai/xgrammar#618): the grammar then allows what it should not. No rule here has both.
Alternatives are rules that the compiler can't take into the choice: it does so only with those that refer to
no other. The one exception, the characters, begin all differently.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

Ranges = tuple[tuple[int, int], ...]
"""A set of characters: code points from first to last, ascending, without overlap."""

_NOTHING = "nothing"


class Rules:
    """A grammar being written; expressions are names of rules, and equal ones have one name."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._bodies: dict[str, str] = {_NOTHING: '""'}
        # Rules without a reference.
        self._terminals: set[str] = set()

    @property
    def nothing(self) -> str:
        """The empty text."""
        return _NOTHING

    def text(self, text: str) -> str:
        """Exactly this text. Raises: UnicodeEncodeError for half a surrogate pair."""
        text.encode()
        return self._terminal(f'"{"".join(map(_escaped, text))}"') if text else _NOTHING

    def one_of(self, plain: Ranges, after_backslash: Sequence[str] = ()) -> str:
        """One character of `plain`, which has no backslash, or a backslash and one of the others, single ones."""
        ranges = [f"{_escaped(chr(first))}-{_escaped(chr(last))}" for first, last in plain]
        is_mixed = _share_a_first_byte(plain)
        classes = [f"[{each}]" for each in (ranges if is_mixed else ["".join(ranges)]) if each]
        if after_backslash:
            letters = "".join(after_backslash)
            classes.append(f'"{_escaped(chr(92))}" [{letters}]')
        return self.choice(map(self._terminal, classes)) if is_mixed else self._terminal(" | ".join(classes))

    def sequence(self, parts: Iterable[str]) -> str:
        """One after the other."""
        wanted = [part for part in parts if part != _NOTHING]
        return self._add(" ".join(wanted)) if len(wanted) > 1 else (wanted or [_NOTHING])[0]

    def choice(self, choices: Iterable[str]) -> str:
        """Any one of them."""
        wanted = list(dict.fromkeys(choices))
        if len(wanted) == 1:
            return wanted[0]
        return self._add(
            " | ".join(
                self._add(f"{each} {_NOTHING}") if each in self._terminals else each for each in wanted
            )
        )

    def optional(self, part: str) -> str:
        """The part, or nothing."""
        return self.choice([_NOTHING, part])

    def repeat(self, part: str, least: int, most: int | None) -> str:
        """The part so many times; `most` None means without end."""
        if most == 0 or part == _NOTHING:
            return _NOTHING
        if least == most == 1:
            return part
        bounds = f"{{{least},{'' if most is None else most}}}" if least or most else "*"
        return self._add(f"{part}{bounds}")

    def reserve(self) -> str:
        """The name of a rule whose body follows: recursion needs the name first."""
        name = f"r{len(self._bodies)}"
        self._bodies[name] = ""
        return name

    def define(self, name: str, body: str) -> None:
        """Make a reserved rule mean what another one means."""
        self._bodies[name] = body

    def script(self, root: str) -> str:
        """The whole grammar; `root` is what an answer must be."""
        return "\n".join(f"{name} ::= {body}" for name, body in {"root": root, **self._bodies}.items())

    def _terminal(self, body: str) -> str:
        name = self._add(body)
        self._terminals.add(name)
        return name

    def _add(self, body: str) -> str:
        if body not in self._names:
            self._names[body] = name = self.reserve()
            self._bodies[name] = body
        return self._names[body]


def _share_a_first_byte(ranges: Ranges) -> bool:
    """Whether the UTF-8 of two of the ranges begins alike."""
    return any(chr(left[1]).encode()[0] == chr(right[0]).encode()[0] for left, right in pairwise(ranges))


def _escaped(character: str) -> str:
    # Eight digits always: the shorter \x takes any number of them, those of the text that follows too.
    return character if character.isascii() and character.isalnum() else f"\\U{ord(character):08x}"
