"""Headers that every answer carries, for browsers."""

# What a browser is to forget is said by the answers themselves: the playground's files may be kept.
_ALWAYS = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    # The filter that it switched on could be turned against the page: browsers dropped it, old ones should.
    ("x-xss-protection", "0"),
)
# Over plain HTTP browsers ignore it; behind a proxy that ends TLS it is the proxy's to send.
_OVER_TLS = ("strict-transport-security", "max-age=31536000; includeSubDomains")


def security_headers(*, is_tls: bool) -> list[tuple[str, str]]:
    """The headers, made once: the server adds them to each answer's bytes."""
    return [*_ALWAYS, *([_OVER_TLS] if is_tls else [])]
