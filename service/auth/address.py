"""Finds the address that a client's failures are counted under."""

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)
from itertools import islice
from typing import Literal

from service.auth.forwarded import forwarded_nodes, x_forwarded_for_nodes
from service.errors import ConfigError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
ForwardingHeader = Literal["X-Forwarded-For", "Forwarded"]

LOCAL = "local"
"""Stands for every peer without an IP address: a Unix socket, or a transport that tells none."""

# No chain of proxies is longer, and each hop costs time on the event loop.
_MAX_HOPS = 32

# RFC 7239's node: an address, perhaps with a port, which may be a made-up one. IPv6 is also taken
# without its brackets: so X-Forwarded-For has it, and so the server tells of a peer.
_NODE = re.compile(
    r"(?:\[(?P<bracketed>[^\]]*)\]|(?P<v4>[^:]+))(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?|(?P<bare>[^\[\]]+)"
)

# How many leading bits one client can't choose. A provider hands out a /64 at least: counting single
# addresses would give 2**64 free guesses. Where IPv6 carries IPv4 it is another number; such a client
# still never counts as the IPv4 address it claims, or it could get that one banned.
_COMMON_PREFIX = 64
_PREFIXES = (
    # NAT64, RFC 6052: one address is one IPv4 host. That has the first /96 alone, but a key has to stand
    # for what it reads as, and nobody has the rest of the /64.
    (IPv6Network("64:ff9b::/64"), 128),
    (IPv6Network("64:ff9b:1::/48"), 128),  # NAT64 of a site's own, RFC 8215
    (IPv6Network("2002::/16"), 48),  # 6to4, RFC 3056: each IPv4 host has a /48
    (IPv6Network("2001::/32"), 32),  # Teredo, RFC 4380: a host has a say in all bits; out of use
)


def parse_trusted_proxies(proxies: Iterable[str]) -> tuple[Network, ...]:
    """Read the `trusted_proxies` setting: addresses and networks in CIDR form.

    Raises:
        ConfigError: naming the entry that is neither, or that is everybody.
    """
    return tuple(_parse_network(text) for text in proxies)


def client_address(
    peer: str | None, header: ForwardingHeader, lines: Sequence[str], trusted: Sequence[Network]
) -> str:
    """Give the key to count a client under: an IPv4 address, an IPv6 network, or `LOCAL`.

    It is the peer's, unless the peer is trusted; then the right-most address of `header` that is not.
    Only what a trusted hop wrote is believed: where its entry is no address, the hop itself is the
    client. `lines` holds the header's lines in the order they came.
    """
    hop = parse_address(peer) if peer is not None else None
    if hop is None:
        return LOCAL
    if lines and _is_trusted(hop, trusted):
        hop = _farthest_believed(hop, _nodes(header, lines), trusted)
    return counting_key(hop)


def parse_address(text: str) -> Address | None:
    """Read `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1` or `[2001:db8::1]:80`; None for all else.

    IPv4 in IPv6's clothes (`::ffff:1.2.3.4`) is IPv4; a zone (`%eth0`) is dropped, since it tells apart
    interfaces here, not clients.
    """
    matched = _NODE.fullmatch(text)
    if matched is None:
        return None
    try:
        if matched["v4"] is not None:
            return IPv4Address(matched["v4"])
        address = IPv6Address(matched["bracketed"] or matched["bare"] or "")
    except AddressValueError:
        return None
    return address.ipv4_mapped or IPv6Address(int(address))


def counting_key(address: Address) -> str:
    """Give the key that `address` is counted and banned under: itself, or its IPv6 network."""
    if isinstance(address, IPv4Address):
        return str(address)
    prefix = next((prefix for network, prefix in _PREFIXES if address in network), _COMMON_PREFIX)
    others = 128 - prefix
    return f"{IPv6Address(int(address) >> others << others)}/{prefix}"


def _nodes(header: ForwardingHeader, lines: Sequence[str]) -> Iterator[str | None]:
    return forwarded_nodes(lines) if header == "Forwarded" else x_forwarded_for_nodes(lines)


def _farthest_believed(hop: Address, nodes: Iterator[str | None], trusted: Sequence[Network]) -> Address:
    for node in islice(nodes, _MAX_HOPS):
        named = parse_address(node) if node is not None else None
        if named is None:
            break
        hop = named
        if not _is_trusted(hop, trusted):
            break
    return hop


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)


def _parse_network(text: str) -> Network:
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise ConfigError(
            f"trusted_proxies: {text!r} is neither an address nor a network such as 10.0.0.0/8 or fd00::/8"
        ) from error
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:
        # Peers are compared as IPv4, so it would never match.
        network = IPv4Network((mapped, network.prefixlen - 96))
    if network.prefixlen == 0:
        raise ConfigError(
            f"trusted_proxies: {text!r} is everybody, and whoever is trusted can pass for any address: "
            "name the networks that the proxies alone are in"
        )
    return network
