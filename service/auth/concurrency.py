"""Counts the requests that each token has open."""

from collections.abc import Generator
from contextlib import contextmanager


class OpenRequests:
    """How many requests of each token are open in this process; a token without any takes no memory."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._open)

    def of(self, token_name: str) -> int:
        """How many this token has open."""
        return self._open.get(token_name, 0)

    @contextmanager
    def one_more(self, token_name: str) -> Generator[None, None, None]:
        """Count one for as long as this is held."""
        self._open[token_name] = self.of(token_name) + 1
        try:
            yield
        finally:
            self._open[token_name] -= 1
            if not self._open[token_name]:
                del self._open[token_name]
