"""The store of the tokens that open the service."""

import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from service.auth.token_file import StoredToken, locked, read_tokens, write_tokens
from service.auth.token_text import hash_token, new_token
from service.auth.token_watch import TokenWatch
from service.errors import ConfigError
from service.rate import RateLimit

ENVIRONMENT_NAME = "VALID_TOKEN"

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """What may be shown of a token, and what it allows; `created_at` is None for the environment's.

    `models` empty means every model. `rate` and `max_concurrent` None mean the service's defaults.
    """

    name: str
    id: str
    created_at: datetime | None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    models: tuple[str, ...] = ()
    rate: RateLimit | None = None
    max_concurrent: int | None = None


_ENVIRONMENT_RECORD = TokenRecord(name=ENVIRONMENT_NAME, id="environment", created_at=None)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class TokenStore:
    """The tokens of one file, with `environment_token` beside them where the environment brings one.

    `clock` counts seconds: a running service sees a changed file within one of them. A file that
    turns unreadable while in use is logged, but at the first read it raises: call `list()` at start.

    Raises:
        ConfigError: when `environment_token` is one that no Authorization header can carry.
    """

    def __init__(
        self,
        path: Path,
        *,
        environment_token: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        utc_now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._path = path
        self._watch = TokenWatch(path, clock=clock)
        self._utc_now = utc_now
        self._environment_hash = _environment_hash(environment_token)

    def create(self, name: str) -> str:
        """Store a new token and give its text: the one time that it can be shown.

        Raises:
            ConfigError: when the name is taken or not allowed, or the file can't be used.
        """
        _check_name(name)
        with locked(self._path):
            tokens = read_tokens(self._path)
            if any(token.name == name for token in tokens):
                raise ConfigError(f"A token named {name} is there already: revoke it or choose another name")
            token_id, text = new_token()
            new = StoredToken(name=name, id=token_id, sha256=hash_token(text), created_at=self._utc_now())
            self._write((*tokens, new))
        return text

    def list(self) -> tuple[TokenRecord, ...]:
        """List the file's tokens, oldest first.

        Raises:
            ConfigError: when the file can't be used.
        """
        return tuple(_record(token) for token in read_tokens(self._path))

    def revoke(self, name: str) -> None:
        """Remove a token.

        Raises:
            ConfigError: when there is none of that name, or the file can't be used.
        """
        with locked(self._path):
            tokens = read_tokens(self._path)
            kept = tuple(token for token in tokens if token.name != name)
            if len(kept) == len(tokens):
                raise ConfigError(f"No token is named {name!r}; see: tiber-serve token list")
            self._write(kept)

    def verify(self, text: str) -> TokenRecord | None:
        """Tell whose token `text` is; None when it is nobody's.

        All hashes are compared, each in constant time, so that the delay tells nothing of them.

        Raises:
            ConfigError: when the file can't be used at the first read.
        """
        candidate = hash_token(text)
        found: TokenRecord | None = None
        for token in self._watch.current():
            if hmac.compare_digest(token.sha256, candidate):
                found = _record(token)
        if self._environment_hash and hmac.compare_digest(self._environment_hash, candidate):
            found = _ENVIRONMENT_RECORD
        return found

    def _write(self, tokens: tuple[StoredToken, ...]) -> None:
        write_tokens(self._path, tokens)
        self._watch.replace(tokens)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name == ENVIRONMENT_NAME:
        raise ConfigError(
            f"{name!r} can't name a token: use 1 to 64 of A-Z a-z 0-9 . _ - (and not {ENVIRONMENT_NAME})"
        )


def _environment_hash(token: str | None) -> str | None:
    if not token:
        return None
    if not _HEADER_SAFE.fullmatch(token):
        raise ConfigError(f"{ENVIRONMENT_NAME} must hold visible ASCII characters only, without spaces")
    return hash_token(token)


def _record(token: StoredToken) -> TokenRecord:
    return TokenRecord(name=token.name, id=token.id, created_at=token.created_at)
