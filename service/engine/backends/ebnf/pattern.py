"""Regular expressions: the part of ECMA 262 that describes characters, and nothing around them."""

from service.engine.backends.ebnf.automaton import Characters, Choice, Expression, Repeat, Sequence
from service.engine.backends.ebnf.characters import EVERY, complement, intersection, only, union
from service.engine.backends.ebnf.notation import Ranges

_DIGITS: Ranges = ((0x30, 0x39),)
_WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE: Ranges = ((0x09, 0x0D), (0x20, 0x20))
_LINE_ENDS: Ranges = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
# Beyond ASCII the dialects differ in what is a digit, a letter, a space: there neither a class nor its
# opposite has these.
_DIGITS_SOMEWHERE: Ranges = ((0x0660, 0x1FFF), (0xA000, 0x10FFFF))
_WORD_SOMEWHERE: Ranges = ((0x80, 0x10FFFF),)
_SPACE_SOMEWHERE: Ranges = (
    *((0x1C, 0x1F), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
    *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
)
_CLASSES = {
    "d": _DIGITS,
    "D": complement(union(_DIGITS, _DIGITS_SOMEWHERE)),
    "w": _WORD,
    "W": complement(union(_WORD, _WORD_SOMEWHERE)),
    "s": _SPACE,
    "S": complement(union(_SPACE, _SPACE_SOMEWHERE)),
}
_CONTROLS = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D}
_HEX_DIGITS = {"x": 2, "u": 4}
_MOST_REPEATS = 1_000


ANYTHING = Repeat(part=Characters(ranges=EVERY), least=0, most=None)


class PatternError(ValueError):
    """The expression is broken, or says what the grammar can't."""


def parse_pattern(pattern: str, *, is_search: bool) -> Expression:
    """Read a pattern.

    With `is_search`, as in JSON schemas, anything may come before and after a match, unless ^ and $ forbid.

    Raises:
        PatternError: naming the place.
    """
    return _Parser(pattern, is_search=is_search).whole()


class _Parser:
    """One pass over the pattern, from left to right."""

    def __init__(self, pattern: str, *, is_search: bool) -> None:
        self._text = pattern
        self._at = 0
        self._around = (ANYTHING,) if is_search else ()

    def whole(self) -> Expression:
        """Read it all."""
        body = self._alternatives(is_outermost=True)
        if self._at < len(self._text):
            raise self._error("a closing bracket without an opening one")
        return body

    def _alternatives(self, *, is_outermost: bool) -> Expression:
        choices = [self._sequence(is_outermost=is_outermost)]
        while self._take("|"):
            choices.append(self._sequence(is_outermost=is_outermost))
        return Choice(choices=tuple(choices)) if len(choices) > 1 else choices[0]

    def _sequence(self, *, is_outermost: bool) -> Expression:
        parts: list[Expression] = []
        if is_outermost and not self._take("^"):
            parts += self._around
        while self._at < len(self._text) and self._peek() not in "|)":
            if is_outermost and self._peek() == "$" and self._text[self._at + 1 : self._at + 2] in ("", "|"):
                self._at += 1
                return Sequence(parts=tuple(parts))
            parts.append(self._repeated())
        if is_outermost:
            parts += self._around
        return Sequence(parts=tuple(parts))

    def _repeated(self) -> Expression:
        element = self._element()
        least, most = self._quantifier()
        # A lazy quantifier matches the same texts.
        self._take("?")
        if self._at < len(self._text) and self._peek() in "*+?":
            raise self._error("two quantifiers in a row")
        return element if (least, most) == (1, 1) else Repeat(part=element, least=least, most=most)

    def _quantifier(self) -> tuple[int, int | None]:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        if not self._take("{"):
            return 1, 1
        counts = self._until("}").split(",")
        if len(counts) > 2 or not all(
            count.isascii() and count.isdigit() for count in (counts[0], counts[-1] or "0")
        ):
            raise self._error("a brace that encloses no number; write \\{ for a brace")
        least = int(counts[0])
        most = int(counts[-1]) if counts[-1] else None
        if max(least, most or 0) > _MOST_REPEATS:
            raise self._error(f"more than {_MOST_REPEATS} repetitions")
        if most is not None and most < least:
            raise self._error("a repetition whose least number is above its greatest")
        return least, most

    def _element(self) -> Expression:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return self._one_of(self._class())
        if character == ".":
            return self._one_of(complement(_LINE_ENDS))
        if character == "\\":
            return self._one_of(self._escape())
        if character in "*+?{":
            raise self._error("a quantifier with nothing to repeat")
        if character in "^$":
            raise self._error(f"{character} within the expression; it may only begin or end it")
        return self._one_of(only(character))

    def _group(self) -> Expression:
        if self._take("?"):
            if self._take("<") and self._at < len(self._text) and self._peek() not in "=!":
                self._until(">")
            elif not self._take(":"):
                raise self._error("a look-around or a flag, which a grammar can't express")
        body = self._alternatives(is_outermost=False)
        if not self._take(")"):
            raise self._error("an opening bracket without a closing one")
        return body

    def _class(self) -> Ranges:
        is_negated = self._take("^")
        members: Ranges = ()
        opposites = EVERY
        while not self._take("]"):
            if (
                self._text[self._at : self._at + 1] == "\\"
                and self._text[self._at + 1 : self._at + 2] in _CLASSES
            ):
                letter = self._text[self._at + 1]
                self._at += 2
                members = union(members, _CLASSES[letter])
                opposites = intersection(opposites, _CLASSES[letter.swapcase()])
            else:
                member = self._range()
                members = union(members, member)
                opposites = intersection(opposites, complement(member))
        return opposites if is_negated else members

    def _range(self) -> Ranges:
        first = last = self._member()
        if self._text[self._at : self._at + 1] == "-" and self._text[self._at + 1 : self._at + 2] not in (
            "",
            "]",
        ):
            self._at += 1
            last = self._member()
        if first > last:
            raise self._error("a range of characters in the wrong order")
        return ((first, last),)

    def _member(self) -> int:
        character = self._next()
        if character != "\\":
            return ord(character)
        if self._text[self._at : self._at + 1] in _CLASSES:
            raise self._error("a class of characters as the end of a range")
        return ord("\b") if self._take("b") else self._escape()[0][0]

    def _escape(self) -> Ranges:
        letter = self._next()
        if letter in _CLASSES:
            return _CLASSES[letter]
        if letter in _CONTROLS:
            return only(chr(_CONTROLS[letter]))
        if letter in _HEX_DIGITS:
            digits = "".join(self._next() for _ in range(_HEX_DIGITS[letter]))
            try:
                return only(chr(int(digits, 16)))
            except ValueError as error:
                raise self._error(f"\\{letter} without its {_HEX_DIGITS[letter]} digits") from error
        if letter.isalnum():
            raise self._error(f"\\{letter}, which a grammar can't express")
        return only(letter)

    def _one_of(self, ranges: Ranges) -> Expression:
        if not ranges:
            raise self._error("a class without a character")
        return Characters(ranges=ranges)

    def _peek(self) -> str:
        return self._text[self._at]

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise self._error("an end where more must follow")
        self._at += 1
        return self._text[self._at - 1]

    def _take(self, character: str) -> bool:
        if self._text[self._at : self._at + 1] != character:
            return False
        self._at += 1
        return True

    def _until(self, end: str) -> str:
        place = self._text.find(end, self._at)
        if place < 0:
            raise self._error(f"no {end} where one must follow")
        inner, self._at = self._text[self._at : place], place + 1
        return inner

    def _error(self, reason: str) -> PatternError:
        return PatternError(f"character {self._at}: {reason}")
