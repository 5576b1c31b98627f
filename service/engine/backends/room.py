"""Counts what requests may come to need of the KV cache, so that none has to give way once it has begun."""

# A sequence's last block is partly empty, and no device has longer ones.
_BLOCK_TOKENS = 64


class Room:
    """The tokens of a KV cache of `capacity` tokens."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._taken: dict[int, int] = {}

    def __len__(self) -> int:
        """How many have taken some."""
        return len(self._taken)

    def take(self, request_id: int, tokens: int) -> bool:
        """Take `tokens` and tell whether they were there; who is alone gets any number."""
        needed = tokens + _BLOCK_TOKENS
        if self._taken and sum(self._taken.values()) + needed > self._capacity:
            return False
        self._taken[request_id] = needed
        return True

    def give_back(self, request_id: int) -> None:
        """Free what a request took, if it did."""
        self._taken.pop(request_id, None)
