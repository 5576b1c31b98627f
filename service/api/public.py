"""Which requests need no token, and are not subject to bans."""

from service.api.playground import PLAYGROUND_PATHS

_PROBES = frozenset({"/health", "/ping", "/ready", "/metrics"})


def is_probe(path: str) -> bool:
    """Whether monitoring asks, every few seconds for ever."""
    return path in _PROBES


def is_public(method: str, path: str) -> bool:
    """Whether anybody may ask."""
    # POST / generates: the method counts.
    return is_probe(path) or (method in ("GET", "HEAD") and path in PLAYGROUND_PATHS)
