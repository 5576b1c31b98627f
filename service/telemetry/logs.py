"""Structured logs on stderr: an event name and fields, never prompts, images or tokens."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog

_TOKEN = re.compile(r"(tsv_[A-Za-z0-9]{0,8})[A-Za-z0-9_]*")
# What parts the lines of a traceback, so that none can pass for a log line.
_CONTINUED = "\n  | "


def configure_logs(log_format: Literal["auto", "json", "console"], level: str) -> None:
    """Set up structlog for the process. `auto` is for people at a terminal, JSON elsewhere."""
    is_console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        # Its own tracebacks would show the variables, prompts and tokens among them.
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if is_console
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            make_harmless,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def make_harmless(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leave nothing in an event's texts that forges a line, commands a terminal, or opens the service."""
    for name, value in event.items():
        if isinstance(value, str) and (not value.isprintable() or "tsv_" in value):
            event[name] = (
                _CONTINUED.join(map(_harmless, value.split("\n")))
                if name == "exception"
                else (_harmless(value))
            )
    return event


def _harmless(text: str) -> str:
    """What can't be printed, or turns the direction of text, as escapes; tokens without their secret."""
    shown = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
    return _TOKEN.sub(r"\1***", shown)
