"""Counts the bytes of all requests' bodies, so that together they can't take the memory."""

from types import TracebackType

from service.errors import UnavailableError

_RETRY_AFTER_S = 1.0


class BufferedBytes:
    """The bytes that all requests hold at this moment, at most `max_bytes`."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.held = 0

    def share(self) -> "Share":
        """One request's part of them, given back at the end of a `with`."""
        return Share(self)

    def check_room(self, count: int) -> None:
        """See whether so many more would fit.

        Raises:
            UnavailableError: they would not.
        """
        if self.held + count > self._max_bytes:
            raise UnavailableError(
                f"the bodies of all requests together must have at most {self._max_bytes} bytes at a time; "
                "with this one they would have more",
                retry_after_s=_RETRY_AFTER_S,
            )


class Share:
    """What one request holds."""

    def __init__(self, buffered: BufferedBytes) -> None:
        self._buffered = buffered
        self._held = 0

    def __enter__(self) -> "Share":
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._buffered.held -= self._held
        self._held = 0

    def add(self, count: int) -> None:
        """Hold so many bytes more.

        Raises:
            UnavailableError: there is no room for them.
        """
        self._buffered.check_room(count)
        self._buffered.held += count
        self._held += count
