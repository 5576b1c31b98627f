"""Feeds made-up forwarding headers to the parsers, guided by coverage; libFuzzer's options apply.

Run it for longer than the tests do with: python -m tests.fuzz.address_harness -max_total_time=600
"""

import sys

import atheris

with atheris.instrument_imports(include=["service.auth", "ipaddress"]):
    from service.auth.address import (
        LOCAL,
        ForwardingHeader,
        client_address,
        counting_key,
        parse_address,
        parse_trusted_proxies,
    )

TRUSTED = parse_trusted_proxies(["10.0.0.0/8", "fd00::/8"])
CLIENT = "203.0.113.9"
APPENDED: tuple[tuple[ForwardingHeader, str], ...] = (
    ("X-Forwarded-For", CLIENT),
    ("X-Forwarded-For", f"{CLIENT}:80, fd00::2"),
    ("Forwarded", f"for={CLIENT}"),
    ("Forwarded", rf'for="{CLIENT}:80";host="a\",\\", for="[fd00::2]"'),
)


def check(text: str) -> None:
    """Fail where a header makes a parser fail, or where a client's part of one decides who is counted."""
    lines = text.split("\n")
    for header, entry in APPENDED:
        key = client_address("10.0.0.1", header, lines, TRUSTED)
        address = parse_address(key.partition("/")[0])
        assert address is not None, (header, lines, key)
        assert counting_key(address) == key, (header, lines, key)
        assert client_address("10.0.0.1", header, [*lines, entry], TRUSTED) == CLIENT, (header, lines)
        assert client_address("10.0.0.1", header, [f"{text}, {entry}"], TRUSTED) == CLIENT, (header, text)
    if parse_address(text) is None:
        assert client_address(text, "Forwarded", [f"for={CLIENT}"], TRUSTED) == LOCAL


def take(data: bytes) -> None:
    """What libFuzzer calls; headers come as Latin-1."""
    check(data.decode("latin-1"))


if __name__ == "__main__":
    atheris.Setup(sys.argv, take)
    atheris.Fuzz()
