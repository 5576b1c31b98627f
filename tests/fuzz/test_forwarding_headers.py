"""The parsers of forwarding headers, against texts of all kinds and a plain reading of the grammar."""

from hypothesis import given, settings
from hypothesis import strategies as st

from service.auth.address import ForwardingHeader, client_address, counting_key, parse_address
from service.auth.address import parse_trusted_proxies as trust
from service.auth.forwarded import forwarded_nodes, x_forwarded_for_nodes

TRUSTED = trust(["10.0.0.0/8", "fd00::/8"])
HEADERS: tuple[ForwardingHeader, ...] = ("X-Forwarded-For", "Forwarded")
TOKEN_LETTERS = "abcXYZ019!#$%&'*+-.^_`|~"

token = st.text(TOKEN_LETTERS, min_size=1, max_size=8)
blank = st.sampled_from(["", " ", "\t", "  "])


@st.composite
def quoted_strings(draw: st.DrawFn) -> tuple[str, str]:
    """A quoted-string and what it stands for."""
    text = draw(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=12))
    is_escaped = draw(st.lists(st.booleans(), min_size=len(text), max_size=len(text)))
    pieces = [
        f"\\{letter}" if letter in '"\\' or escaped else letter
        for letter, escaped in zip(text, is_escaped, strict=True)
    ]
    return f'"{"".join(pieces)}"', text


@st.composite
def elements(draw: st.DrawFn) -> tuple[str, str | None]:
    """A forwarded-element, and what its `for` stands for."""
    names = draw(st.lists(token.filter(lambda name: name.lower() != "for"), max_size=3, unique=True))
    values = [draw(st.one_of(token.map(lambda text: (text, text)), quoted_strings())) for _ in names]
    pairs = [f"{name}={value[0]}" for name, value in zip(names, values, strict=True)]
    node: str | None = None
    if draw(st.booleans()) or not pairs:
        written, node = draw(st.one_of(token.map(lambda text: (text, text)), quoted_strings()))
        pairs.insert(
            draw(st.integers(0, len(pairs))), f"{draw(st.sampled_from(['for', 'FOR', 'For']))}={written}"
        )
    return ";".join(pairs), node


@settings(max_examples=300)  # other work shares the machine
@given(lines=st.lists(st.lists(st.tuples(blank, elements(), blank), max_size=4), max_size=3))
def test_every_well_formed_header_is_read_right(
    lines: list[list[tuple[str, tuple[str, str | None], str]]],
) -> None:
    texts = [",".join(f"{before}{element[0]}{after}" for before, element, after in line) for line in lines]
    nodes = [element[1] for line in lines for _, element, _ in line]
    assert list(forwarded_nodes(texts)) == nodes[::-1]


LATIN = st.text(st.characters(max_codepoint=255), max_size=60)
PIECES = st.lists(
    st.sampled_from(
        [
            '"',
            "\\",
            ",",
            ";",
            "=",
            " ",
            "\t",
            "for",
            "for=",
            "10.0.0.1",
            "::1",
            "[",
            "]",
            ":80",
            "_x",
            "\n",
            "\xff",
        ]
    ),
    max_size=30,
).map("".join)
LINES = st.lists(LATIN | PIECES | st.text(max_size=20), max_size=4)


@settings(max_examples=500)
@given(header=st.sampled_from(HEADERS), lines=LINES)
def test_any_header_of_a_proxy_gives_a_key_that_is_an_address_or_network(
    header: ForwardingHeader, lines: list[str]
) -> None:
    key = client_address("10.0.0.1", header, lines, TRUSTED)
    address = parse_address(key.partition("/")[0])
    assert address is not None
    assert counting_key(address) == key


@settings(max_examples=500)
@given(lines=LINES)
def test_entries_of_x_forwarded_for_are_what_a_split_gives(lines: list[str]) -> None:
    split = [entry.strip(" \t") for line in lines for entry in line.split(",")]
    assert list(x_forwarded_for_nodes(lines)) == [entry for entry in split if entry][::-1]


@settings(max_examples=500)
@given(text=LATIN | PIECES | st.text(max_size=60))
def test_any_text_is_one_address_or_none(text: str) -> None:
    address = parse_address(text)
    assert address is None or parse_address(str(address)) == address
