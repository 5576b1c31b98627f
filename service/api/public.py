"""Which requests need no token, and are not subject to bans."""

_PROBES = frozenset({"/health", "/ping", "/ready", "/metrics"})


def is_probe(path: str) -> bool:
    """Whether monitoring asks, every few seconds for ever."""
    return path in _PROBES


def is_public(method: str, path: str) -> bool:
    """Whether anybody may ask."""
    return is_probe(path)
