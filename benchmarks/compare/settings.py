"""What a comparison measures."""

from dataclasses import dataclass

# Requests of one measurement at the least: a single short one says little.
_LEAST_REQUESTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareSettings:
    """Each measurement has requests of exactly `tokens` tokens; each round new prompts, the same for all.

    `run_id` is a part of the seed: servers that run already may know the prompts of an earlier run.
    `uses_tuning` when our own servers might take what `tiber-serve tune` found; earlier records, which do not
    tell, are of servers that might.
    """

    concurrencies: tuple[int, ...]
    tokens: int
    prompt_words: int
    rounds: int
    seed: int
    run_id: str = ""
    uses_tuning: bool = True

    def requests(self, concurrency: int) -> int:
        """How many requests one measurement has."""
        return concurrency * -(-_LEAST_REQUESTS // concurrency)
