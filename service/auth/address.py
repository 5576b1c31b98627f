"""Finds the address that a client's failures are counted under."""

from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from service.errors import ConfigError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOCAL = "local"
"""Stands for every peer without an IP address: a Unix socket, or a transport that tells none."""


def parse_trusted_proxies(proxies: Iterable[str]) -> tuple[Network, ...]:
    """Read the `trusted_proxies` setting: addresses and networks in CIDR form.

    Raises:
        ConfigError: naming the entry that is neither.
    """
    return tuple(_parse_network(text) for text in proxies)


def client_address(peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """Give the key to count a client under: an IPv4 address, an IPv6 /64, or `LOCAL`.

    It is the peer's, unless the peer is trusted; then the right-most address of X-Forwarded-For that
    is not. Only what a trusted hop wrote is believed: where its entry is no address, the hop itself
    is the client. `forwarded_for` holds the header's lines in the order they came.
    """
    hop = _parse_address(peer) if peer is not None else None
    if hop is None:
        return LOCAL
    entries = [entry.strip() for line in forwarded_for for entry in line.split(",")]
    for entry in reversed([entry for entry in entries if entry]):
        if not _is_trusted(hop, trusted):
            break
        previous = _parse_address(entry)
        if previous is None:
            break
        hop = previous
    return _counting_key(hop)


def _parse_network(text: str) -> Network:
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise ConfigError(
            f"trusted_proxies: {text!r} is neither an address nor a network such as 10.0.0.0/8 or fd00::/8"
        ) from error


def _parse_address(text: str) -> Address | None:
    """Read `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1` or `[2001:db8::1]:80`; None for all else."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        # Without its zone (`%eth0`), which tells apart interfaces here, not clients.
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)


def _counting_key(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    # A provider hands out a /64 at least: counting single addresses would give 2**64 free guesses.
    return str(IPv6Network((int(address) >> 64 << 64, 64)))
