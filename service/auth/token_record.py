"""What may be shown of a token."""

from dataclasses import dataclass
from datetime import datetime

from service.auth.token_file import StoredToken
from service.rate import RateLimit, parse_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """What may be shown of a token, and what it allows; `created_at` is None for the environment's.

    `models` empty means every model. `rate` and `max_concurrent` None mean the service's defaults.
    `rotated_at` is set once another token took its place under the same name.
    """

    name: str
    id: str
    created_at: datetime | None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    models: tuple[str, ...] = ()
    rate: RateLimit | None = None
    max_concurrent: int | None = None
    rotated_at: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        """Whether its time is over at `now`."""
        return self.expires_at is not None and self.expires_at <= now


def record_of(token: StoredToken, *, last_used_at: datetime | None = None) -> TokenRecord:
    """Show a stored token."""
    return TokenRecord(
        name=token.name,
        id=token.id,
        created_at=token.created_at,
        expires_at=token.expires_at,
        last_used_at=last_used_at,
        models=token.models,
        rate=parse_rate(token.rate, token.burst) if token.rate is not None else None,
        max_concurrent=token.max_concurrent,
        rotated_at=token.rotated_at,
    )
