"""Counts out a KV cache, so that every request let in can reach its last token."""


class Reservations:
    """The blocks of a cache that are promised to requests. `block_tokens`: tokens that one block holds."""

    def __init__(self, *, blocks: int, block_tokens: int) -> None:
        self._blocks = blocks
        self._block_tokens = block_tokens
        self._promised: dict[int, int] = {}

    def can_ever_hold(self, tokens: int) -> bool:
        """Whether an empty cache has room for so many tokens."""
        return self._blocks_of(tokens) <= self._blocks

    def reserve(self, request_id: int, tokens: int) -> bool:
        """Promise room for so many tokens, unless others hold too much of it."""
        wanted = self._blocks_of(tokens)
        if sum(self._promised.values()) + wanted > self._blocks:
            return False
        self._promised[request_id] = wanted
        return True

    def release(self, request_id: int) -> None:
        """Take the promise back; unknown ids are ignored."""
        self._promised.pop(request_id, None)

    def _blocks_of(self, tokens: int) -> int:
        return -(-tokens // self._block_tokens)
