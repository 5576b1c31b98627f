"""Keeps the tokens of a file at hand while the file may change."""

from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from service.auth.private_file import file_stamp
from service.auth.token_file import StoredToken, read_tokens
from service.auth.token_record import TokenRecord, record_of
from service.errors import ConfigError

RELOAD_S = 1.0

_log = structlog.get_logger("auth")


class TokenWatch:
    """The tokens of one file by their hashes, as it was at most `RELOAD_S` seconds of `clock` ago.

    When a file turns unreadable while in use, that is logged and the tokens last read stay in force.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._tokens: Mapping[str, TokenRecord] | None = None
        self._stamp: tuple[int, ...] | None = None
        self._checked_at = 0.0

    def find(self, sha256: str) -> TokenRecord | None:
        """Give the token of that hash, if there is one.

        Raises:
            ConfigError: when the file can't be used at the first read.
        """
        # A token made a moment ago is not to be counted as a guess: what is not known is looked for anew.
        return self._current(RELOAD_S).get(sha256) or self._current(0.0).get(sha256)

    def replace(self, tokens: tuple[StoredToken, ...]) -> None:
        """Take over what this process wrote itself, without waiting for the next look."""
        self._tokens, self._stamp = _by_hash(tokens), None

    def _current(self, max_age_s: float) -> Mapping[str, TokenRecord]:
        now = self._clock()
        if self._tokens is not None and now - self._checked_at < max_age_s:
            return self._tokens
        self._checked_at = now
        stamp = file_stamp(self._path)
        if self._tokens is None or stamp != self._stamp:
            self._tokens = self._reread(self._tokens)
            self._stamp = stamp
        return self._tokens

    def _reread(self, last: Mapping[str, TokenRecord] | None) -> Mapping[str, TokenRecord]:
        try:
            return _by_hash(read_tokens(self._path))
        except ConfigError as error:
            if last is None:
                raise
            _log.error("tokens_not_reloaded", reason=error.message)
            return last


def _by_hash(tokens: tuple[StoredToken, ...]) -> Mapping[str, TokenRecord]:
    return {token.sha256: record_of(token) for token in tokens}
