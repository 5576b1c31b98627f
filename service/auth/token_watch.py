"""Keeps the tokens of a file at hand while the file may change."""

from collections.abc import Callable
from pathlib import Path

import structlog

from service.auth.token_file import StoredToken, read_tokens
from service.errors import ConfigError

RELOAD_S = 1.0

_log = structlog.get_logger()


class TokenWatch:
    """The tokens of one file, as it was at most `RELOAD_S` seconds of `clock` ago.

    When a file turns unreadable while in use, that is logged and the tokens last read stay in force.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._tokens: tuple[StoredToken, ...] | None = None
        self._stamp: tuple[int, ...] | None = None
        self._checked_at = 0.0

    def current(self) -> tuple[StoredToken, ...]:
        """Give the tokens, read anew when the file changed.

        Raises:
            ConfigError: when the file can't be used at the first read.
        """
        now = self._clock()
        if self._tokens is not None and now - self._checked_at < RELOAD_S:
            return self._tokens
        self._checked_at = now
        stamp = _file_stamp(self._path)
        if self._tokens is None or stamp != self._stamp:
            self._tokens = self._reread(self._tokens)
            self._stamp = stamp
        return self._tokens

    def replace(self, tokens: tuple[StoredToken, ...]) -> None:
        """Take over what this process wrote itself, without waiting for the next look."""
        self._tokens, self._stamp = tokens, None

    def _reread(self, last: tuple[StoredToken, ...] | None) -> tuple[StoredToken, ...]:
        try:
            return read_tokens(self._path)
        except ConfigError as error:
            if last is None:
                raise
            _log.error("tokens_not_reloaded", reason=error.message)
            return last


def _file_stamp(path: Path) -> tuple[int, ...]:
    """Tell one state of the file from the next, cheaply; empty when there is no file."""
    try:
        status = path.stat()
    except OSError:
        return ()
    # The change time moves with a chmod too.
    return (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
