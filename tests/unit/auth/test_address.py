"""Whose failures are counted: the client's address behind trusted proxies."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.auth.address import LOCAL, client_address, parse_trusted_proxies
from service.errors import ConfigError

TRUSTED = parse_trusted_proxies(["10.0.0.1/8", "fd00::/8", "192.0.2.7"])


def test_header_of_an_untrusted_peer_is_ignored() -> None:
    assert client_address("203.0.113.9", ["198.51.100.1"], TRUSTED) == "203.0.113.9"
    assert client_address("10.0.0.1", ["198.51.100.1"], ()) == "10.0.0.1"


@pytest.mark.parametrize(
    ("forwarded_for", "expected"),
    [
        ([], "10.0.0.1"),
        ([""], "10.0.0.1"),
        (["198.51.100.1"], "198.51.100.1"),
        (["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        (["6.6.6.6, 198.51.100.1, 10.2.3.4, 192.0.2.7"], "198.51.100.1"),
        (["6.6.6.6, 198.51.100.1", "10.2.3.4"], "198.51.100.1"),
        (["10.9.9.9, 10.2.3.4"], "10.9.9.9"),
        (["198.51.100.1:4711"], "198.51.100.1"),
        (["[2001:db8:1:2::99]:4711"], "2001:db8:1:2::/64"),
        (["2001:db8:1:2::99"], "2001:db8:1:2::/64"),
        (["198.51.100.1,, "], "198.51.100.1"),
    ],
)
def test_rightmost_untrusted_entry_is_the_client(forwarded_for: list[str], expected: str) -> None:
    assert client_address("10.0.0.1", forwarded_for, TRUSTED) == expected


@pytest.mark.parametrize(
    ("forwarded_for", "expected"),
    [
        (["unknown"], "10.0.0.1"),
        (["198.51.100.1, _hidden"], "10.0.0.1"),
        (["198.51.100.1, nonsense, 10.2.3.4"], "10.2.3.4"),
        (["999.1.1.1"], "10.0.0.1"),
        (["[::1"], "::/64"),
    ],
)
def test_garbage_falls_back_to_the_last_trustworthy_hop(forwarded_for: list[str], expected: str) -> None:
    assert client_address("10.0.0.1", forwarded_for, TRUSTED) == expected


@pytest.mark.parametrize("peer", ["2001:db8:1:2::1", "2001:db8:1:2:ffff::2", "2001:db8:1:2::3%eth0"])
def test_ipv6_is_counted_by_its_64(peer: str) -> None:
    assert client_address(peer, [], ()) == "2001:db8:1:2::/64"


def test_mapped_ipv4_is_ipv4_for_counting_as_for_trust() -> None:
    assert client_address("::ffff:203.0.113.9", [], ()) == "203.0.113.9"
    assert client_address("::ffff:10.0.0.1", ["::ffff:198.51.100.1"], TRUSTED) == "198.51.100.1"


@pytest.mark.parametrize("peer", [None, "", "testclient", "/run/tiber.sock"])
def test_peer_without_an_address_is_local_whatever_the_header(peer: str | None) -> None:
    assert client_address(peer, ["198.51.100.1"], TRUSTED) == LOCAL


@settings(deadline=None)  # other work shares the machine
@given(header=st.lists(st.text(max_size=40), max_size=4))
def test_no_header_makes_it_fail(header: list[str]) -> None:
    assert client_address("10.0.0.1", header, TRUSTED)


@pytest.mark.parametrize("entry", ["proxy.example", "", "10.0.0.0/99", "10.0.0.0-10.0.0.9"])
def test_bad_trusted_proxy_is_named(entry: str) -> None:
    with pytest.raises(ConfigError, match="trusted_proxies") as caught:
        parse_trusted_proxies(["10.0.0.0/8", entry])
    assert repr(entry) in caught.value.message
