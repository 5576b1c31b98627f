"""The changes that a set of stored tokens may undergo."""

import re
from datetime import datetime, timedelta

from service.auth.token_file import StoredToken
from service.errors import ConfigError

ENVIRONMENT_NAME = "VALID_TOKEN"

Tokens = tuple[StoredToken, ...]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
# A forgotten client still hears that its token has expired, and is not banned for guessing.
_KEPT_AFTER_ROTATION = timedelta(days=30)


def with_new(tokens: Tokens, new: StoredToken) -> Tokens:
    """Add a token.

    Raises:
        ConfigError: when its name is taken or not allowed.
    """
    if not _NAME.fullmatch(new.name) or new.name == ENVIRONMENT_NAME:
        raise ConfigError(
            f"{new.name!r} can't name a token: use 1 to 64 of A-Z a-z 0-9 . _ - (and not {ENVIRONMENT_NAME})"
        )
    if any(token.name == new.name for token in tokens):
        raise ConfigError(
            f"A token named {new.name} is there already: choose another name, revoke it, "
            f"or give it a new secret with: tiber-serve token rotate {new.name}"
        )
    return (*_without_forgotten(tokens, new.created_at), new)


def without(tokens: Tokens, name: str) -> Tokens:
    """Remove the token of that name, and those that it took the place of.

    Raises:
        ConfigError: when there is none.
    """
    kept = tuple(token for token in tokens if token.name != name)
    if len(kept) == len(tokens):
        raise _unknown(name)
    return kept


def with_rotated(
    tokens: Tokens, name: str, *, token_id: str, sha256: str, grace: timedelta, now: datetime
) -> Tokens:
    """Put a new secret in the place of the one that `name` has, and let that work for `grace` at most.

    The new one has the same rights, and the same time to live from now on. Secrets of earlier
    rotations end with the grace too.

    Raises:
        ConfigError: when there is no token of that name.
    """
    current = next((token for token in tokens if token.name == name and token.rotated_at is None), None)
    if current is None:
        raise _unknown(name)
    end = now + grace
    new = current.model_copy(
        update={
            "id": token_id,
            "sha256": sha256,
            "created_at": now,
            "expires_at": current.expires_at and now + (current.expires_at - current.created_at),
        }
    )
    ended = (_ended(token, end, now) if token.name == name else token for token in tokens)
    return (*_without_forgotten(tuple(ended), now), new)


def _ended(token: StoredToken, end: datetime, now: datetime) -> StoredToken:
    expires_at = min(token.expires_at, end) if token.expires_at is not None else end
    return token.model_copy(update={"expires_at": expires_at, "rotated_at": token.rotated_at or now})


def _without_forgotten(tokens: Tokens, now: datetime) -> Tokens:
    return tuple(token for token in tokens if not _is_forgotten(token, now))


def _is_forgotten(token: StoredToken, now: datetime) -> bool:
    if token.rotated_at is None or token.expires_at is None:
        return False
    return token.expires_at + _KEPT_AFTER_ROTATION < now


def _unknown(name: str) -> ConfigError:
    return ConfigError(f"No token is named {name!r}; see: tiber-serve token list")
