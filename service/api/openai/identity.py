"""What all events of one answer share: its id, its time, its model."""

import secrets
import time
from dataclasses import dataclass
from importlib.metadata import version

_FINGERPRINT = f"tiber-serve-{version('tiber-serve')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """See OpenAI's API; `created` in seconds since 1970."""

    id: str
    created: int
    model: str
    system_fingerprint: str = _FINGERPRINT


def new_identity(prefix: str, model: str) -> Identity:
    """An identity never given before."""
    return Identity(id=f"{prefix}-{secrets.token_hex(12)}", created=int(time.time()), model=model)


def new_call_id() -> str:
    """An id for a tool call."""
    return f"call_{secrets.token_hex(12)}"
