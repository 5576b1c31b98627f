"""Where audit events are written."""

import json
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

import structlog

from service.errors import ConfigError

_log = structlog.get_logger()
_LOGGER = "audit"


class AuditSink(Protocol):
    """Takes events; must neither raise nor block for long."""

    def write(self, event: str, fields: Mapping[str, object]) -> None:
        """Keep one event."""


class CommonLog:
    """An AuditSink among the service's other log lines, each with `logger` audit."""

    def write(self, event: str, fields: Mapping[str, object]) -> None:
        """Log it."""
        _log.info(event, logger=_LOGGER, **fields)


class AuditFile:
    """An AuditSink of JSON lines, made with mode 0600.

    The file is opened for each line, so it may be moved away or cut at any time: logrotate needs neither a
    signal nor `copytruncate`. Each line is one write at the file's end, so several processes may share it.
    Where it can't be written, its lines go to the common log.
    """

    def __init__(self, path: Path, *, utc_now: Callable[[], datetime]) -> None:
        self._path = path
        self._utc_now = utc_now
        self._is_broken = False

    def check(self) -> None:
        """Look whether it can be written; nothing is made yet, since whoever looks may be another user.

        Raises:
            ConfigError: when it can't.
        """
        needed = self._path if self._path.exists() else self._path.parent
        if not os.access(needed, os.W_OK):
            reason = f"{needed} can't be written" if needed.exists() else f"there is no folder {needed}"
            raise ConfigError(f"auth.audit_log = {str(self._path)!r} can't be used: {reason}")

    def write(self, event: str, fields: Mapping[str, object]) -> None:
        """Append it, else log it."""
        try:
            self.append(event, fields)
        except OSError as error:
            if not self._is_broken:
                _log.error(
                    "audit_log_not_written", logger=_LOGGER, path=str(self._path), reason=error.strerror
                )
            self._is_broken = True
            CommonLog().write(event, fields)
        else:
            self._is_broken = False

    def append(self, event: str, fields: Mapping[str, object]) -> None:
        """Append it.

        Raises:
            OSError: when it can't be written.
        """
        time = self._utc_now().isoformat(timespec="milliseconds")
        # ASCII only: what reads it may be a terminal.
        line = json.dumps({"time": time, "event": event, **fields}) + "\n"
        # A pipe without a reader must not stop the service.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        is_new = not self._path.exists()
        descriptor = os.open(self._path, flags, 0o600)
        try:
            if is_new and os.geteuid() == 0:
                # A command of root's must not lock the service out: the file is its folder's owner's.
                owner = self._path.parent.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            os.write(descriptor, line.encode("ascii"))
        finally:
            os.close(descriptor)
