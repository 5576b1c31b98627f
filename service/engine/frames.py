"""Frames on the wire between the service and an engine process, as multiprocessing's Connection has them."""

import struct
from collections.abc import Iterator

# Connection's own header: the length of what follows, up to 2 GiB.
_LENGTH = struct.Struct("!i")


def framed(payload: bytes) -> tuple[bytes, bytes]:
    """A frame's header and its payload, which is not copied."""
    return _LENGTH.pack(len(payload)), payload


class FrameReader:
    """Puts frames together from the pieces that a socket gives."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what came; give the frames that are whole now. To be read to its end.

        Raises:
            ValueError: what comes is no frame.
        """
        data = self._rest + data if self._rest else data
        start = 0
        while (begin := start + _LENGTH.size) <= len(data):
            length = _LENGTH.unpack_from(data, start)[0]
            if length < 0:
                raise ValueError(f"a frame of {length} bytes")
            end = begin + length
            if end > len(data):
                break
            yield data[begin:end]
            start = end
        self._rest = data[start:]
