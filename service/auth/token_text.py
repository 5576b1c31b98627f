"""The text of a token: how one is made, how one is hashed."""

import hashlib
import secrets
import string

_ALPHABET = string.ascii_letters + string.digits  # no "_", which parts the pieces
_ID_LENGTH = 8
_SECRET_LENGTH = 33  # of 62 letters: 196 bits


def new_token() -> tuple[str, str]:
    """Make a random token: its id, and its whole text `tsv_<id>_<secret>`."""
    token_id = _random_text(_ID_LENGTH)
    return token_id, f"tsv_{token_id}_{_random_text(_SECRET_LENGTH)}"


def hash_token(text: str) -> str:
    """Give the SHA-256 of a token, in hex."""
    # A plain hash is right here: slow, salted ones (bcrypt, Argon2) make up for secrets that people
    # choose. Nobody tries out 2**192 random ones, and every request has to pay for the hash.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
