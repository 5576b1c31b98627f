"""The store of the tokens that open the service."""

import hmac
import os
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pydantic

from service.auth.last_use import LastUses
from service.auth.token_changes import ENVIRONMENT_NAME, Tokens, with_new, with_rotated, without
from service.auth.token_file import StoredToken, first_fault, locked, read_tokens, write_tokens
from service.auth.token_record import TokenRecord, record_of
from service.auth.token_text import hash_token, is_misspelt, new_token
from service.auth.token_watch import TokenWatch
from service.errors import ConfigError

__all__ = ["ENVIRONMENT_NAME", "TokenRecord", "TokenRefusal", "TokenStore"]

TokenRefusal = Literal["malformed", "wrong_token", "expired"]

_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")
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
        self._last_uses = LastUses(_last_use_path(path), known_ids=self._known_ids, utc_now=utc_now)

    def create(
        self,
        name: str,
        *,
        expires_in: timedelta | None = None,
        models: Sequence[str] = (),
        rate: str | None = None,
        burst: int | None = None,
        max_concurrent: int | None = None,
    ) -> str:
        """Store a new token and give its text: the one time that it can be shown.

        Raises:
            ConfigError: when the name is taken, something given is not allowed, or the file can't be used.
        """
        token_id, text = new_token()
        now = self._utc_now()
        try:
            new = StoredToken(
                name=name,
                id=token_id,
                sha256=hash_token(text),
                created_at=now,
                expires_at=now + expires_in if expires_in is not None else None,
                models=tuple(models),
                rate=rate,
                burst=burst,
                max_concurrent=max_concurrent,
            )
        except pydantic.ValidationError as error:
            # Not as its cause: pydantic's error carries the input, the hash included.
            raise ConfigError(f"Can't make this token: {first_fault(error, whole='rate')}") from None
        self._change(lambda tokens: with_new(tokens, new))
        return text

    def rotate(self, name: str, *, grace: timedelta) -> str:
        """Give a token a new secret, and its text; the old one works for `grace` more.

        The rights stay, and the new one lives as long from now on as the old one did.

        Raises:
            ConfigError: when there is none of that name, or the file can't be used.
        """
        token_id, text = new_token()
        self._change(
            lambda tokens: with_rotated(
                tokens,
                name,
                token_id=token_id,
                sha256=hash_token(text),
                grace=grace,
                now=self._utc_now(),
            )
        )
        return text

    def revoke(self, name: str) -> None:
        """Remove a token, with all the secrets that it ever had.

        Raises:
            ConfigError: when there is none of that name, or the file can't be used.
        """
        self._change(lambda tokens: without(tokens, name))
        self._last_uses.forget_unknown()

    def list(self) -> tuple[TokenRecord, ...]:
        """List the file's tokens, oldest first.

        Raises:
            ConfigError: when the file can't be used.
        """
        tokens = read_tokens(self._path)
        uses = self._last_uses.read()
        return tuple(record_of(token, last_used_at=uses.get(token.id)) for token in tokens)

    def verify(self, text: str) -> TokenRecord | TokenRefusal:
        """Tell whose token `text` is, or why it is nobody's.

        The file's tokens are found by their hashes: a guesser who knows a part of a token knows
        nothing of its hash, so that the delay tells nothing either.

        Raises:
            ConfigError: when the file can't be used at the first read.
        """
        sha256 = hash_token(text)
        if self._environment_hash and hmac.compare_digest(self._environment_hash, sha256):
            return _ENVIRONMENT_RECORD
        if is_misspelt(text):
            return "malformed"
        record = self._watch.find(sha256)
        if record is None:
            return "wrong_token"
        if record.expires_at is not None and record.is_expired(self._utc_now()):
            return "expired"
        return record

    def expired_at(self, text: str) -> datetime | None:
        """When the token `text` expires, to tell who brings it; None when it is nobody's or never does."""
        record = self._watch.find(hash_token(text))
        return record.expires_at if record is not None else None

    def used(self, record: TokenRecord) -> None:
        """Note that a token was used now; `run()` writes it down."""
        if record is not _ENVIRONMENT_RECORD:
            self._last_uses.note(record.id)

    async def run(self) -> None:
        """Write the last uses down now and then until cancelled, then once more."""
        await self._last_uses.run()

    def _change(self, change: Callable[[Tokens], Tokens]) -> None:
        with locked(self._path) as file:
            tokens = change(read_tokens(file))
            write_tokens(file, tokens)
        self._watch.replace(tokens)

    def _known_ids(self) -> frozenset[str]:
        return frozenset(token.id for token in read_tokens(self._path))


def _environment_hash(token: str | None) -> str | None:
    if not token:
        return None
    if not _HEADER_SAFE.fullmatch(token):
        raise ConfigError(f"{ENVIRONMENT_NAME} must hold visible ASCII characters only, without spaces")
    return hash_token(token)


def _last_use_path(path: Path) -> Path:
    """Beside the tokens, also where `path` is a link to them."""
    file = Path(os.path.realpath(path))
    if not file.name:
        raise ConfigError(f"{path} can't be the file of tokens")
    return file.with_name(f"{file.stem}.used{file.suffix}")
