"""Why a request is not let in."""

from dataclasses import dataclass
from typing import Literal, get_args

Reason = Literal[
    "no_token", "malformed", "wrong_token", "expired", "banned", "rate_limited", "concurrency", "forbidden"
]
REASONS: tuple[Reason, ...] = get_args(Reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One request that was not let in.

    `token_id` is what the token says of itself where it was not a right one, None when it says nothing.
    `limit` tells whose rate is used up; `left_s` is what is left of a ban.
    """

    reason: Reason
    address: str
    token_id: str | None = None
    limit: Literal["address", "token"] | None = None
    left_s: float = 0.0
