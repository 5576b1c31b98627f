"""The text of a token: how one is made, told from other texts, hashed."""

import hashlib
import re
import secrets
import string
import zlib

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase  # no "_", which parts the pieces
_ID_LENGTH = 8
_SECRET_LENGTH = 33  # of 62 letters: 196 bits
_CHECKSUM_LENGTH = 6  # 62**6 is more than a CRC32's 2**32
_FORM = re.compile(rf"tsv_[0-9A-Za-z]{{{_ID_LENGTH}}}_[0-9A-Za-z]{{{_SECRET_LENGTH + _CHECKSUM_LENGTH}}}")


def new_token() -> tuple[str, str]:
    """Make a random token: its id, and its whole text `tsv_<id>_<secret><checksum>`."""
    token_id = _random_text(_ID_LENGTH)
    body = f"tsv_{token_id}_{_random_text(_SECRET_LENGTH)}"
    return token_id, body + checksum(body)


def id_of(text: str) -> str:
    """Give the id that a token tells of itself; it is no secret."""
    return text.split("_")[1]


def checksum(body: str) -> str:
    """Give the end of a token that begins with `body`: its CRC32 in base 62, as GitHub's tokens have it.

    A secret scanner tells a token from what only looks like one without asking anybody:
    https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/
    """
    number = zlib.crc32(_encoded(body))
    letters = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, letter = divmod(number, len(_ALPHABET))
        letters = _ALPHABET[letter] + letters
    return letters


def is_misspelt(text: str) -> bool:
    """Whether `text` has a token's form, and a checksum of something else."""
    fits = checksum(text[:-_CHECKSUM_LENGTH]) == text[-_CHECKSUM_LENGTH:]
    return _FORM.fullmatch(text) is not None and not fits


def hash_token(text: str) -> str:
    """Give the SHA-256 of a token, in hex."""
    # A plain hash is right here: slow, salted ones (bcrypt, Argon2) make up for secrets that people
    # choose. Nobody tries out 2**192 random ones, and every request has to pay for the hash.
    return hashlib.sha256(_encoded(text)).hexdigest()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
