"""Judges whether an answer is what was asked for; pure."""

import json
from typing import Any

from benchmarks.client import Reply


def stream_fault(reply: Reply, *, tokens: int, prompt_tokens: int) -> str | None:
    """Say what is wrong with a stream that had to bring exactly `tokens` tokens; None when all is well."""
    if reply.failure is not None or reply.status != 200:
        return reply.failure or f"status {reply.status}: {_shown(reply.content)}"
    last = parse_object(reply.content)
    if last is None or "error" in last:
        return f"ended with {_shown(reply.content)}"
    if not isinstance(last.get("generated_text"), str):
        return "the last event has no generated_text"
    details = last.get("details") or {}
    found = {
        "events": (len(reply.event_times_s), tokens),
        "the last event's index": (last.get("index"), tokens),
        "generated_tokens": (details.get("generated_tokens"), tokens),
        "input_length": (details.get("input_length"), prompt_tokens),
    }
    wrong = [f"{what}: {got} instead of {wanted}" for what, (got, wanted) in found.items() if got != wanted]
    return "; ".join(wrong) or None


def is_error_event(content: bytes) -> bool:
    """Whether a stream's last event is an error object with its message and code."""
    event = parse_object(content) or {}
    error = event.get("error")
    return isinstance(error, dict) and isinstance(error.get("message"), str) and "code" in error


def is_answer(reply: Reply) -> bool:
    """Whether a request for a whole answer got one."""
    content = parse_object(reply.content) or {}
    return reply.failure is None and reply.status == 200 and isinstance(content.get("generated_text"), str)


def parse_object(content: bytes) -> dict[str, Any] | None:
    """Parse a JSON object; None for anything else."""
    try:
        value = json.loads(content)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _shown(content: bytes) -> str:
    return content[:200].decode("utf-8", "replace") or "nothing"
