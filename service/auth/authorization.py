"""Reads the Authorization header; explains what is wrong with it."""

import re
from datetime import UTC, datetime

from service.refusal import Reason

_HOW = "send the header 'Authorization: Bearer TOKEN'"
_ASK = "ask the operator of this service for"
# The id is no secret: it is in the list of tokens.
_CLAIMED_ID = re.compile(r"tsv_([A-Za-z0-9]{8})_")


def bearer_token(authorization: str) -> str | None:
    """Take the token out of `Bearer TOKEN`; None when the header reads otherwise."""
    parts = authorization.split()
    if len(parts) != 2 or parts[0].lower() != "bearer":
        return None
    return parts[1]


def claimed_id(token: str | None) -> str | None:
    """The id that a token's text tells, whosever it is."""
    found = _CLAIMED_ID.match(token) if token is not None else None
    return found[1] if found else None


def explain(reason: Reason, *, is_token: bool, expired_at: datetime | None) -> str:
    """What to tell the client; `is_token`: its header held a token at all."""
    if reason == "no_token":
        return f"No token: {_HOW}"
    if not is_token:
        return f"The Authorization header is malformed: {_HOW}"
    if reason == "malformed":
        return "The token is misspelt: its checksum doesn't fit"
    if expired_at is not None:
        return f"The token expired on {expired_at.astimezone(UTC):%Y-%m-%d at %H:%M} UTC: {_ASK} a new one"
    return f"The token is not valid: {_ASK} one that is"
