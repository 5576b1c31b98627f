"""No client behind honest proxies can choose the address that it is counted under."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.auth.address import (
    ForwardingHeader,
    client_address,
    counting_key,
    parse_address,
    parse_trusted_proxies,
)

TRUSTED = parse_trusted_proxies(["10.0.0.0/8", "fd00::/8"])
CLIENT = "203.0.113.9"
PROXIES = ("10.0.0.1", "10.0.0.2", "fd00::3", "10.0.0.4")
X: ForwardingHeader = "X-Forwarded-For"
RFC: ForwardingHeader = "Forwarded"

Lines = list[str]
Proxy = Callable[[Lines, str], Lines]


def joins_all(lines: Lines, entry: str) -> Lines:
    """As nginx, Apache and Go's proxies (Traefik, Caddy) do."""
    return [", ".join([*lines, entry])]


def joins_tightly(lines: Lines, entry: str) -> Lines:
    """As Envoy does."""
    return [",".join([*lines, entry])]


def adds_a_line(lines: Lines, entry: str) -> Lines:
    """As HAProxy does."""
    return [*lines, entry]


def extends_the_last_line(lines: Lines, entry: str) -> Lines:
    return [*lines[:-1], f"{lines[-1]}, {entry}"] if lines else [entry]


HONEST = (joins_all, joins_tightly, adds_a_line, extends_the_last_line)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def written(address: str, header: ForwardingHeader, port: int | None, host: str) -> str:
    """What a proxy says of the address that a request came from; `host` is the client's to choose."""
    node = f"[{address}]" if ":" in address and (header == RFC or port is not None) else address
    node += "" if port is None else f":{port}"
    if header == X:
        return node
    return f"for={quoted(node) if ':' in node else node};host={quoted(host)};proto=https"


# What a header may carry: any letter of Latin-1 but those that end a line.
_LETTERS = st.characters(max_codepoint=255, exclude_characters="\r\n\x00")
_PIECES = st.sampled_from(
    [
        *('"', "\\", '\\"', ",", ";", "=", " ", "\t", ", ,", "for=", 'for="', "For=6.6.6.6", "[", "]", ":"),
        *("6.6.6.6", "10.0.0.1", "[2001:db8::1]", "::ffff:10.0.0.1", "unknown", "_x", "127.0.0.1", "host="),
    ]
)
SENT = st.lists(
    st.one_of(st.lists(_PIECES, max_size=12).map("".join), st.text(_LETTERS, max_size=40)), max_size=4
)
CLIENTS = st.ip_addresses().filter(
    lambda address: (
        not any(address in network for network in TRUSTED)
        and not (isinstance(address, IPv6Address) and address.ipv4_mapped)
    )
)


@settings(max_examples=400)  # other work shares the machine
@given(
    header=st.sampled_from([X, RFC]),
    client=CLIENTS,
    sent=SENT,
    proxies=st.lists(st.sampled_from(HONEST), min_size=1, max_size=3),
    port=st.none() | st.integers(0, 65535),
    host=st.text(_LETTERS, max_size=20) | st.lists(_PIECES, max_size=6).map("".join),
)
@example(RFC, ip_address(CLIENT), ['for="'], [joins_all], None, "h")
@example(RFC, ip_address(CLIENT), ['for=6.6.6.6;x="\\'], [joins_all], 80, "h")
@example(RFC, ip_address(CLIENT), ['for="6.6.6.6', 'x"'], [adds_a_line, joins_all], None, '", for=6.6.6.6')
@example(X, ip_address(CLIENT), ["6.6.6.6", "10.0.0.1"], [joins_all, adds_a_line], None, "")
def test_client_is_counted_under_its_own_address_whatever_it_sends(
    header: ForwardingHeader,
    client: IPv4Address | IPv6Address,
    sent: Lines,
    proxies: list[Proxy],
    port: int | None,
    host: str,
) -> None:
    lines = sent
    # Each proxy appends whom it was called by: the first one the client, the others the one before.
    for proxy, caller in zip(proxies, [str(client), *PROXIES], strict=False):
        lines = proxy(lines, written(caller, header, port, host))
    peer = PROXIES[len(proxies) - 1]
    assert client_address(peer, header, lines, TRUSTED) == counting_key(client)


@pytest.mark.parametrize("proxy", HONEST)
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(["6.6.6.6"], id="a victim's address"),
        pytest.param(["10.0.0.1"], id="the proxy's own address"),
        pytest.param(["6.6.6.6, 10.0.0.1"], id="a chain that ends in a trusted proxy"),
        pytest.param(["6.6.6.6", "7.7.7.7"], id="the header twice"),
        pytest.param(["6.6.6.6", ""], id="an empty line last"),
        pytest.param(["6.6.6.6,,,"], id="empty elements"),
        pytest.param(["6.6.6.6\t,\t"], id="tabs"),
        pytest.param(["::ffff:10.0.0.1"], id="the proxy as mapped IPv4"),
        pytest.param(["unknown"], id="no address"),
        pytest.param(["\xa0\xff6.6.6.6\x85"], id="bytes over 127"),
        pytest.param(['"6.6.6.6'], id="a quotation mark"),
        pytest.param(["[::1"], id="half a bracket"),
        pytest.param(["," * 20_000], id="thousands of commas"),
        pytest.param(["10.0.0.1," * 3_000], id="thousands of trusted hops"),
    ],
)
def test_x_forwarded_for_of_a_client_changes_nothing(proxy: Proxy, sent: Lines) -> None:
    assert client_address("10.0.0.1", X, proxy(sent, CLIENT), TRUSTED) == CLIENT


@pytest.mark.parametrize("proxy", HONEST)
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(["for=6.6.6.6"], id="a victim's address"),
        pytest.param(["for=10.0.0.1"], id="the proxy's own address"),
        pytest.param(['for="'], id="a quotation that swallows what follows"),
        pytest.param(['for=6.6.6.6;x="'], id="the same after an address"),
        pytest.param(['for="6.6.6.6\\'], id="a backslash before the comma"),
        pytest.param(['for="\\"'], id="an escaped quotation mark"),
        pytest.param(['for="a', 'b"'], id="a quotation over two lines"),
        pytest.param(["for=6.6.6.6;"], id="an element left open"),
        pytest.param(["for="], id="a value left open"),
        pytest.param(['"' * 10_000], id="thousands of quotation marks"),
        pytest.param(["\\" * 20_000], id="thousands of backslashes"),
    ],
)
def test_forwarded_of_a_client_changes_nothing(proxy: Proxy, sent: Lines) -> None:
    assert client_address("10.0.0.1", RFC, proxy(sent, f"for={CLIENT}"), TRUSTED) == CLIENT
    assert client_address("10.0.0.1", RFC, proxy(sent, f'for="{CLIENT}:1";host="h"'), TRUSTED) == CLIENT


def test_other_header_is_not_read_since_a_proxy_that_sets_one_passes_the_other_on() -> None:
    # Each line would name 6.6.6.6 if it were read as the other header.
    assert client_address("10.0.0.1", X, ["for=6.6.6.6"], TRUSTED) == "10.0.0.1"
    assert client_address("10.0.0.1", RFC, ["6.6.6.6"], TRUSTED) == "10.0.0.1"


def test_who_is_in_a_trusted_network_is_believed_so_only_proxies_belong_there() -> None:
    """The limit of the promise: 10.9.9.9 is a client here, but counts as one more proxy."""
    assert client_address("10.0.0.1", X, ["6.6.6.6, 10.9.9.9"], TRUSTED) == "6.6.6.6"


def test_chain_of_more_hops_than_any_proxies_make_is_not_followed() -> None:
    assert client_address("10.0.0.1", X, ["6.6.6.6" + ", 10.0.0.2" * 31], TRUSTED) == "6.6.6.6"
    assert client_address("10.0.0.1", X, ["6.6.6.6" + ", 10.0.0.2" * 32], TRUSTED) == "10.0.0.2"


@pytest.mark.parametrize("address", ["6.6.6.6", "10.0.0.1"])
@pytest.mark.parametrize(
    "form", ["2002:{}::1", "64:ff9b::{}", "64:ff9b:1::{}", "::{}", "2001:0:{}:8000:1:1:1"]
)
def test_address_inside_ipv6_is_neither_trusted_nor_counted_as_ipv4(form: str, address: str) -> None:
    inside = IPv4Address(address).packed.hex()
    peer = form.format(f"{inside[:4]}:{inside[4:]}")
    assert parse_address(peer) is not None
    assert client_address(peer, X, ["7.7.7.7"], TRUSTED) not in {address, "7.7.7.7"}
