"""What a comparison measures."""

from dataclasses import dataclass

# Requests of one measurement at the least: a single short one says little.
_LEAST_REQUESTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareSettings:
    """Each measurement has requests of exactly `tokens` tokens; each round new prompts, the same for all."""

    concurrencies: tuple[int, ...]
    tokens: int
    prompt_words: int
    rounds: int
    seed: int

    def requests(self, concurrency: int) -> int:
        """How many requests one measurement has."""
        return concurrency * -(-_LEAST_REQUESTS // concurrency)
