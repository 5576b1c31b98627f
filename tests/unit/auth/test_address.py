"""Whose failures are counted: the client's address behind trusted proxies."""

from ipaddress import IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.auth.address import (
    LOCAL,
    ForwardingHeader,
    client_address,
    counting_key,
    parse_address,
    parse_trusted_proxies,
)
from service.errors import ConfigError

TRUSTED = parse_trusted_proxies(["10.0.0.1/8", "fd00::/8", "192.0.2.7"])
PROXY = "10.0.0.1"
X: ForwardingHeader = "X-Forwarded-For"
RFC: ForwardingHeader = "Forwarded"


def counted(header: ForwardingHeader, *lines: str, peer: str | None = PROXY) -> str:
    return client_address(peer, header, lines, TRUSTED)


@pytest.mark.parametrize("header", [X, RFC])
def test_header_of_an_untrusted_peer_is_ignored(header: ForwardingHeader) -> None:
    lines = ["198.51.100.1", "for=198.51.100.1"]
    assert client_address("203.0.113.9", header, lines, TRUSTED) == "203.0.113.9"
    assert client_address(PROXY, header, lines, ()) == PROXY


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], PROXY),
        ([""], PROXY),
        (["198.51.100.1"], "198.51.100.1"),
        (["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        (["6.6.6.6, 198.51.100.1, 10.2.3.4, 192.0.2.7"], "198.51.100.1"),
        (["6.6.6.6, 198.51.100.1", "10.2.3.4"], "198.51.100.1"),
        (["10.9.9.9, 10.2.3.4"], "10.9.9.9"),
        (["198.51.100.1:4711"], "198.51.100.1"),
        (["[2001:db8:1:2::99]:4711"], "2001:db8:1:2::/64"),
        (["2001:db8:1:2::99"], "2001:db8:1:2::/64"),
        (["198.51.100.1,, "], "198.51.100.1"),
        (["6.6.6.6,\t198.51.100.1\t,fd00::7"], "198.51.100.1"),
    ],
)
def test_rightmost_untrusted_entry_is_the_client(lines: list[str], expected: str) -> None:
    assert counted(X, *lines) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["for=198.51.100.1"], "198.51.100.1"),
        (["for=6.6.6.6, for=198.51.100.1"], "198.51.100.1"),
        (["for=6.6.6.6, for=198.51.100.1, for=10.2.3.4"], "198.51.100.1"),
        (["for=6.6.6.6, for=198.51.100.1", "for=10.2.3.4"], "198.51.100.1"),
        (['for="198.51.100.1:4711";proto=https;by=_inner'], "198.51.100.1"),
        (['For="[2001:db8:1:2::99]:_port"'], "2001:db8:1:2::/64"),
        (['proto=https;host="a, for=6.6.6.6, b";FOR="[2001:db8:1:2::99]"'], "2001:db8:1:2::/64"),
        ([r'for=198.51.100.1;host="\", for=6.6.6.6, \""'], "198.51.100.1"),
        ([r'for=198.51.100.1;host="\\"'], "198.51.100.1"),
        ([r'for="\1\9\8.51.100.1"'], "198.51.100.1"),
        (["for=198.51.100.1 ; proto=https,, \t,"], "198.51.100.1"),
        ([";for=198.51.100.1;"], "198.51.100.1"),
        (["for=2001:db8:1:2::99"], "2001:db8:1:2::/64"),
        (["for=[2001:db8:1:2::99]:4711;host=h"], "2001:db8:1:2::/64"),
    ],
)
def test_forwarded_is_read_as_rfc_7239_has_it(lines: list[str], expected: str) -> None:
    assert counted(RFC, *lines) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["unknown"], PROXY),
        (["198.51.100.1, _hidden"], PROXY),
        (["198.51.100.1, nonsense, 10.2.3.4"], "10.2.3.4"),
        (["[::1"], PROXY),
        (["::1]"], PROXY),
        (["[198.51.100.1]"], PROXY),
        (['"198.51.100.1"'], PROXY),
        (["198.51.100.1:"], PROXY),
        (["198.51.100.1:123456"], PROXY),
        (["198.51.100.1 6.6.6.6"], PROXY),
        (["unix:"], PROXY),
        (["for=198.51.100.1"], PROXY),
    ],
)
def test_entry_that_is_no_address_counts_for_the_hop_that_wrote_it(lines: list[str], expected: str) -> None:
    assert counted(X, *lines) == expected


@pytest.mark.parametrize(
    "element",
    [
        "for=unknown",
        "for=_hidden",
        'for=""',
        "for=",
        "for",
        "198.51.100.1",
        "proto=https;host=h",
        "for=198.51.100.1;for=198.51.100.1",
        "for = 198.51.100.1",
        'for="198.51.100.1',
        'for=198.51.100.1"',
        'for="198.51.100.1"x',
        'for="198.51.100.1"for=1.1.1.1',
        r'for="198.51.100.1\"',
        r"for=198.51.100.1\;host=h",
        "for=198.51.100.1;;=x",
        "xfor=198.51.100.1",
    ],
)
def test_element_without_an_address_counts_for_the_hop_that_wrote_it(element: str) -> None:
    assert counted(RFC, f"for=6.6.6.6, {element}") == PROXY
    assert counted(RFC, f"for=6.6.6.6, {element}, for=10.2.3.4") == "10.2.3.4"


@pytest.mark.parametrize(
    "text",
    [
        *("127.1", "0127.0.0.1", "127.0.0.01", "0x7f.0.0.1", "0x7f000001", "2130706433", "0177.0.0.1"),
        *("1.2.3.4.", ".1.2.3.4", "1.2.3", "1.2.3.4.5", "1..2.3", "256.1.1.1", "1.2.3.-4", "+1.2.3.4"),
        *(
            "1.2.3.4/32",
            "1.2.3.4%eth0",
            "1.2.3.4\x00",
            "1.2.3.4\xa0",
            "\u0661.2.3.4",
            "\uff11.2.3.4",
            "1_0.2.3.4",
        ),
        *(
            "",
            " ",
            "::1::",
            ":::",
            "1:2:3:4:5:6:7:8:9",
            "::12345",
            "::g",
            "fe80::1%",
            "fe80::1%a%b",
            "::1/64",
        ),
        *("[]", "[", "]", "[[::1]]", "[::1]x", "[::1]:", "[::1]:x", "[::1]:-1", "[::1]:123456", "[::1]%eth0"),
        *("localhost", "testclient", "/run/tiber.sock", "unix:", "_hidden", "unknown", "1.2.3.4,5.6.7.8"),
    ],
)
def test_text_that_some_parsers_take_for_an_address_is_none(text: str) -> None:
    assert parse_address(text) is None


@pytest.mark.parametrize("entry", ["010.0.0.1", "10.1", "10.0.0.1.", "::10.0.0.1", "64:ff9b::a00:1"])
def test_odd_spelling_of_a_trusted_address_is_not_trusted(entry: str) -> None:
    assert counted(X, f"6.6.6.6, {entry}") != "6.6.6.6"


@pytest.mark.parametrize(
    "peer",
    [
        "2001:db8:1:2::1",
        "2001:db8:1:2:ffff::2",
        "2001:db8:1:2::3%eth0",
        "2001:0DB8:1:2:0:0:0:9",
        "[2001:db8:1:2::4]",
    ],
)
def test_ipv6_is_counted_by_its_64(peer: str) -> None:
    assert client_address(peer, X, [], ()) == "2001:db8:1:2::/64"


@given(network=st.integers(0x2003 << 48, 2**62 - 1), hosts=st.lists(st.integers(0, 2**64 - 1), min_size=2))
def test_changing_the_host_half_of_an_ipv6_address_changes_nothing(network: int, hosts: list[int]) -> None:
    parts = [(network << 64 | host) for host in hosts]
    texts = [":".join(f"{part >> shift & 0xFFFF:x}" for shift in range(112, -1, -16)) for part in parts]
    assert len({counted(X, text) for text in texts}) == 1


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("fe80::1", "fe80::/64"),
        ("fe80::ffff:1%eth1", "fe80::/64"),
        ("fd12:3456:789a:1::1", "fd12:3456:789a:1::/64"),
        ("::1", "::/64"),
        ("64:ff9b::198.51.100.1", "64:ff9b::c633:6401/128"),
        ("64:ff9b::198.51.100.2", "64:ff9b::c633:6402/128"),
        ("64:ff9b::ff:10.0.0.1", "64:ff9b::ff:a00:1/128"),
        ("64:ff9b:1::198.51.100.1", "64:ff9b:1::c633:6401/128"),
        ("2002:c633:6401:1::1", "2002:c633:6401::/48"),
        ("2002:c633:6401:ffff::1", "2002:c633:6401::/48"),
        ("2001:0:c633:6401:8000:63bf:3fff:fdd2", "2001::/32"),
        ("2001:1::1", "2001:1::/64"),
    ],
)
def test_ipv6_that_carries_something_else_is_counted_by_what_one_host_can_not_choose(
    peer: str, expected: str
) -> None:
    assert client_address(peer, X, [], ()) == expected


@pytest.mark.parametrize(
    "spelling",
    [
        *("203.0.113.9", "203.0.113.9:1", "::ffff:203.0.113.9", "::FFFF:cb00:7109", "[::ffff:203.0.113.9]"),
        *("[::ffff:cb00:7109]:65535", "0:0:0:0:0:ffff:203.0.113.9", "::ffff:203.0.113.9%eth0"),
    ],
)
def test_every_spelling_of_an_ipv4_address_counts_as_one(spelling: str) -> None:
    assert client_address(spelling, X, [], ()) == "203.0.113.9"
    assert counted(X, spelling) == "203.0.113.9"
    assert counted(RFC, f'for="{spelling}"') == "203.0.113.9"


def test_mapped_ipv4_is_ipv4_for_trust_too() -> None:
    assert counted(X, "::ffff:198.51.100.1", peer="::ffff:10.0.0.1") == "198.51.100.1"


@given(
    address=st.one_of(
        st.ip_addresses(),
        *(
            st.ip_addresses(network=network)
            for network in (
                "64:ff9b::/64",
                "64:ff9b::/96",
                "64:ff9b:1::/48",
                "2001::/32",
                "2002::/16",
                "::/64",
            )
        ),
    )
)
@example(address=IPv6Address("64:ff9b::ff:10.0.0.1"))
def test_key_of_an_address_stands_for_itself(address: object) -> None:
    parsed = parse_address(str(address))
    assert parsed is not None
    key = counting_key(parsed)
    again = parse_address(key.partition("/")[0])
    assert again is not None
    assert counting_key(again) == key


@pytest.mark.parametrize("peer", [None, "", "testclient", "/run/tiber.sock"])
@pytest.mark.parametrize("header", [X, RFC])
def test_peer_without_an_address_is_local_whatever_the_header(
    peer: str | None, header: ForwardingHeader
) -> None:
    assert counted(header, "198.51.100.1", "for=198.51.100.1", peer=peer) == LOCAL


@pytest.mark.parametrize("entry", ["proxy.example", "", "10.0.0.0/99", "10.0.0.0-10.0.0.9", "010.0.0.1"])
def test_bad_trusted_proxy_is_named(entry: str) -> None:
    with pytest.raises(ConfigError, match="trusted_proxies") as caught:
        parse_trusted_proxies(["10.0.0.0/8", entry])
    assert repr(entry) in caught.value.message


@pytest.mark.parametrize("entry", ["0.0.0.0/0", "::/0", "10.0.0.0/0", "::ffff:0:0/96", "0.0.0.0/0.0.0.0"])
def test_trusting_everybody_is_refused_since_any_client_could_pass_for_any_other(entry: str) -> None:
    with pytest.raises(ConfigError, match="is everybody") as caught:
        parse_trusted_proxies([entry])
    assert repr(entry) in caught.value.message


@pytest.mark.parametrize("entry", ["::ffff:10.0.0.0/104", "::ffff:10.0.0.1", " 10.0.0.0/255.0.0.0 "])
def test_trusted_proxies_may_be_written_in_any_form(entry: str) -> None:
    trusted = parse_trusted_proxies([entry])
    assert client_address("10.0.0.1", X, ["198.51.100.1"], trusted) == "198.51.100.1"
