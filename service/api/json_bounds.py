"""Bounds a body's JSON while it arrives: parsing more of it would hold the interpreter lock for too long."""

from itertools import accumulate

from service.errors import ValidationError

# Bytes are looked at in pieces: the worst of such a piece takes some 2 ms.
_PIECE_BYTES = 2**16
# Digits cost the parser most, strings next to nothing; a token id with its comma has 7.
_BYTES_OF_A_VALUE = 32
# A step down for each bracket that opens, up for each that closes (255 is -1 in a signed byte).
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[{]}")


class JSONBounds:
    """The depth and the values of one JSON text that comes in chunks, exact as far as the text is JSON.

    An empty list or object counts as two values. What is no JSON is left for the parser to refuse, which
    stops where it ends to be some: up to there these bounds hold.
    """

    def __init__(self, *, max_depth: int, max_values: int) -> None:
        self._max_depth = max_depth
        self._max_values = max_values
        self._values = 1
        self._depth = 0
        self._bytes_outside = 0
        self._in_string = False
        self._backslash = b""

    def clearly_hold_for(self, text: bytes) -> bool:
        """Whether a whole text is so small that its brackets alone show it to be within the bounds."""
        return (
            len(text) < self._max_values
            and text.count(b"[") + text.count(b"{") <= self._max_depth
            and b"\0" not in text
        )

    def feed(self, chunk: bytes) -> None:
        """Take what comes next.

        Raises:
            ValidationError: with it the text is beyond a bound, or is not UTF-8.
        """
        for start in range(0, len(chunk), _PIECE_BYTES):
            self._feed(chunk[start : start + _PIECE_BYTES])

    def _feed(self, piece: bytes) -> None:
        if b"\0" in piece:
            # UTF-16 and UTF-32 have it in every bracket, JSON in UTF-8 nowhere.
            raise ValidationError("the body must be JSON in UTF-8")
        if self._in_string and not self._backslash and b'"' not in piece and b"\\" not in piece:
            return
        outside = self._outside_strings(piece)
        self._count_values(outside)
        self._count_depth(outside)

    def _outside_strings(self, piece: bytes) -> bytes:
        piece = self._backslash + piece
        is_cut_in_an_escape = (len(piece) - len(piece.rstrip(b"\\"))) % 2 == 1
        self._backslash = b"\\" if is_cut_in_an_escape else b""
        if is_cut_in_an_escape:
            piece = piece[:-1]
        if b"\\" in piece:
            # Pairs first: what is left before a quote is one that escapes it.
            piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = piece.split(b'"')
        outside = b"".join(parts[self._in_string :: 2])
        self._in_string ^= len(parts) % 2 == 0
        return outside

    def _count_values(self, outside: bytes) -> None:
        self._values += outside.count(b",") + outside.count(b"[") + outside.count(b"{")
        if self._values > self._max_values:
            raise ValidationError(
                f"the body's JSON must have at most {self._max_values} values; "
                f"it has {self._values} in its first part"
            )
        self._bytes_outside += len(outside)
        most_bytes = _BYTES_OF_A_VALUE * self._max_values
        if self._bytes_outside > most_bytes:
            raise ValidationError(
                f"the body's JSON must have at most {most_bytes} bytes outside its strings; it has more"
            )

    def _count_depth(self, outside: bytes) -> None:
        steps = memoryview(outside.translate(_STEPS, _NO_BRACKETS)).cast("b")
        deepest = max(accumulate(steps, initial=self._depth))
        if deepest > self._max_depth:
            raise ValidationError(
                f"the body's JSON must be at most {self._max_depth} deep; it is {deepest} or more"
            )
        self._depth += sum(steps)
