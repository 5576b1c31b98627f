"""Numbers between bounds, digit by digit."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from service.engine.backends.ebnf.notation import Rules, Spelled

# Every whole number of so many digits fits 64 bits.
_INTEGER_DIGITS = 18
# So many significant digits survive in a double: no value crosses its bound by rounding.
_NUMBER_DIGITS = 15
# An exclusive bound is kept by a step of so many decimals: above 0, the least number is 0.01.
_EXCLUSIVE_DECIMALS = 2
_MOST_DECIMALS = 6
MOST_INTEGER = Decimal(10**_INTEGER_DIGITS - 1)
MOST_NUMBER = Decimal(10 ** (_NUMBER_DIGITS - _MOST_DECIMALS) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """From `low` to `high`; `above` and `below` tell whether these two are left out."""

    low: Decimal
    high: Decimal
    above: bool = False
    below: bool = False

    def counted(self, decimals: int) -> tuple[int, int]:
        """The least and the greatest member of so many decimals, in units of the last one."""
        first, last = self.low.scaleb(decimals), self.high.scaleb(decimals)
        least = int(first.to_integral_value(ROUND_CEILING))
        greatest = int(last.to_integral_value(ROUND_FLOOR))
        return least + (self.above and least == first), greatest - (self.below and greatest == last)

    def halves(self) -> list[tuple[str, "Interval"]]:
        """Its members by sign: how their texts begin, and what their absolute values are."""
        halves = []
        if self.low < 0:
            turned = Interval(low=-self.high, high=-self.low, above=self.below, below=self.above)
            halves.append(("-", turned._from_zero()))
        if self.high >= 0:
            halves.append(("", self._from_zero()))
        return halves

    def _from_zero(self) -> "Interval":
        if self.low >= 0:
            return self
        return Interval(low=Decimal(0), high=self.high, below=self.below)


class Digits:
    """Writes numbers, digit by digit."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._digit = self._one("0", "9")
        self._point = rules.text(".")
        self._minus = rules.optional(rules.text("-"))

    def integer(self) -> str:
        """Any whole number."""
        return self._rules.sequence([self._minus, self._whole(_INTEGER_DIGITS)])

    def number(self) -> str:
        """Any number; two digits of exponent at most keep it finite."""
        rules = self._rules
        fraction = rules.sequence([self._point, rules.repeat(self._digit, 1, _NUMBER_DIGITS)])
        signs = rules.optional(rules.choice([rules.text("+"), rules.text("-")]))
        letter = rules.choice([rules.text("e"), rules.text("E")])
        exponent = rules.sequence([letter, signs, rules.repeat(self._digit, 1, 2)])
        return rules.sequence(
            [self._minus, self._whole(_NUMBER_DIGITS), rules.optional(fraction), rules.optional(exponent)]
        )

    def integers_in(self, interval: Interval) -> list[str]:
        """Alternatives for the whole numbers of the interval; none when it holds none."""
        return [
            self._rules.sequence([self._rules.text(sign), digits])
            for sign, half in interval.halves()
            for digits in self._counted(*half.counted(0), 0)
        ]

    def numbers_in(self, interval: Interval) -> list[str]:
        """Alternatives for the numbers of the interval, without exponents; none when it holds none.

        Raises:
            ValueError: a bound has too many decimals.
        """
        decimals = max(_decimals(interval.low), _decimals(interval.high))
        if decimals > _MOST_DECIMALS:
            raise ValueError(f"a bound may have at most {_MOST_DECIMALS} decimals")
        if interval.above or interval.below:
            decimals = max(decimals, _EXCLUSIVE_DECIMALS)
        choices = []
        for sign, half in interval.halves():
            texts = [each for fewer in range(decimals) for each in self._counted(*half.counted(fewer), fewer)]
            texts += self._with_more_decimals(half, decimals)
            choices += [self._rules.sequence([self._rules.text(sign), each]) for each in texts]
        return choices

    def _whole(self, most_digits: int) -> str:
        more = self._rules.repeat(self._digit, 0, most_digits - 1)
        return self._rules.choice([self._rules.text("0"), self._rules.sequence([self._one("1", "9"), more])])

    def _with_more_decimals(self, half: Interval, decimals: int) -> list[str]:
        """Those of so many decimals; more may follow wherever the greatest member is not reached."""
        least, greatest = half.counted(decimals)
        inside = greatest if half.below else greatest - 1
        spare = _NUMBER_DIGITS - len(str(greatest))
        more = self._rules.repeat(self._digit, 0 if decimals else 1, spare)
        if not decimals:
            more = self._rules.optional(self._rules.sequence([self._point, more]))
        choices = [self._rules.sequence([digits, more]) for digits in self._counted(least, inside, decimals)]
        if inside < greatest:
            choices += self._counted(max(least, greatest), greatest, decimals)
        return choices

    def _counted(self, least: int, greatest: int, decimals: int) -> list[str]:
        """Alternatives for least..greatest, not negative, whose last `decimals` digits follow a point."""
        choices = []
        shortest = max(len(str(least)), decimals + 1)
        for size in range(shortest, max(len(str(greatest)), decimals + 1) + 1):
            low = least if size == shortest else 10 ** (size - 1)
            high = min(greatest, 10**size - 1)
            if low <= high:
                choices.append(self._between(str(low).zfill(size), str(high).zfill(size), decimals))
        return choices

    def _between(self, low: str, high: str, decimals: int) -> str:
        """Strings of digits from `low` to `high`, which are equally long."""
        rules = self._rules
        if not low:
            return rules.nothing
        point = self._point if len(low) == decimals else rules.nothing
        rest = len(low) - 1
        nines, zeros = "9" * rest, "0" * rest
        if low[0] == high[0]:
            inner = self._between(low[1:], high[1:], decimals)
            return rules.sequence([point, self._one(low[0], low[0]), inner])
        if low[1:] == zeros and high[1:] == nines:
            return rules.sequence([point, self._one(low[0], high[0]), self._free(rest, decimals)])
        choices = [(low[0], low[0], self._between(low[1:], nines, decimals))]
        if int(high[0]) - int(low[0]) > 1:
            choices.append((str(int(low[0]) + 1), str(int(high[0]) - 1), self._free(rest, decimals)))
        choices.append((high[0], high[0], self._between(zeros, high[1:], decimals)))
        digits = [rules.sequence([self._one(first, last), inner]) for first, last, inner in choices]
        return rules.sequence([point, rules.choice(digits)])

    def _free(self, count: int, decimals: int) -> str:
        """So many digits, whichever."""
        repeat = self._rules.repeat
        if not decimals or count < decimals:
            return repeat(self._digit, count, count)
        whole, fraction = (
            repeat(self._digit, count - decimals, count - decimals),
            repeat(self._digit, decimals, decimals),
        )
        return self._rules.sequence([whole, self._point, fraction])

    def _one(self, first: str, last: str) -> str:
        return self._rules.one_of(Spelled(plain=((ord(first), ord(last)),)))


def _decimals(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return max(0, -int(exponent))
