"""Draws how many tokens prompts and answers have."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Protocol


class Length(Protocol):
    """A distribution of numbers of tokens."""

    def draw(self, chance: Random) -> int:
        """A number of tokens, 1 or more."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """Always the same."""

    tokens: int

    def draw(self, chance: Random) -> int:
        """That number."""
        return self.tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform:
    """Any from `least` to `most`, each as likely."""

    least: int
    most: int

    def draw(self, chance: Random) -> int:
        """One of them."""
        return chance.randint(self.least, self.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lognormal:
    """Half are at most `median`; `sigma` is the spread of the logarithm; more than `most` becomes `most`."""

    median: float
    sigma: float
    most: int

    def draw(self, chance: Random) -> int:
        """One of them."""
        drawn = self.median * math.exp(self.sigma * chance.gauss(0, 1))
        return max(1, min(self.most, round(drawn)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """One of two distributions; `share` of the draws are the first's."""

    share: float
    first: Length
    second: Length

    def draw(self, chance: Random) -> int:
        """One of one of them."""
        return (self.first if chance.random() < self.share else self.second).draw(chance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Those of prompts and those of answers, drawn one by one."""

    prompt: Length
    output: Length

    @classmethod
    def of(cls, name: str, values: Mapping[str, float]) -> "Lengths":
        """What a workload's specification asks for."""
        most_in, most_out = int(values.get("in_max", 0)), int(values.get("out_max", 0))
        if name == "sharegpt":
            return _sharegpt(most_in, most_out)
        if name == "uniform":
            return cls(
                prompt=Uniform(least=int(values["in_min"]), most=most_in),
                output=Uniform(least=int(values["out_min"]), most=most_out),
            )
        if name == "lognormal":
            return cls(
                prompt=Lognormal(median=values["in"], sigma=values["in_sigma"], most=most_in),
                output=Lognormal(median=values["out"], sigma=values["out_sigma"], most=most_out),
            )
        return cls(prompt=Fixed(tokens=int(values["in"])), output=Fixed(tokens=int(values["out"])))


def _sharegpt(most_in: int, most_out: int) -> Lengths:
    # Shaped after what is commonly reported of the ShareGPT conversations (means of about 220 tokens in and
    # 200 out, short questions beside pasted texts, some one-line answers); fitted to no copy of that data.
    return Lengths(
        prompt=Mixture(
            share=0.6,
            first=Lognormal(median=25, sigma=0.9, most=most_in),
            second=Lognormal(median=350, sigma=0.9, most=most_in),
        ),
        output=Mixture(
            share=0.2,
            first=Lognormal(median=15, sigma=0.9, most=most_out),
            second=Lognormal(median=190, sigma=0.7, most=most_out),
        ),
    )
