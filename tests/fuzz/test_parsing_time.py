"""Forwarding headers as long as the server reads them take time in proportion to their length."""

import ipaddress
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from service.auth import address, forwarded
from service.auth.address import ForwardingHeader, client_address, parse_address, parse_trusted_proxies
from service.auth.forwarded import forwarded_nodes, x_forwarded_for_nodes
from tests.support.growth import cpu_s, of_length

PARSERS = {address.__file__, forwarded.__file__, ipaddress.__file__}
TRUSTED = parse_trusted_proxies(["10.0.0.0/8", "fd00::/8"])
LONG = 32 * 2**10
SHORT = LONG // 8
# Work that grows with the length's square would grow 64 times.
MOST_GROWTH = 8 * 3

SHAPES = {
    "commas": ",",
    "blanks": " ",
    "blank elements": " ,\t",
    "trusted hops": "10.0.0.1,",
    "shortest trusted hops": "fd::,",
    "elements": "for=10.0.0.1,",
    "quoted elements": 'for="[fd00::1]:80";host="a,b",',
    "pairs": "a=b;",
    "empty pairs": ";",
    "quotation marks": '"',
    "quoted commas": '",',
    "backslashes": "\\",
    "escaped quotation marks": '\\"',
    "quoted backslashes": '"\\\\',
    "half a pair": "for=",
    "half a quotation": 'for="',
    "brackets": "[",
    "colons": ":",
    "digits": "1",
    "dots": "1.",
    "zones": "fe80::1%",
    "escapes in one value": 'a="' + "\\a" * 50 + '";',
}


def read_x(line: str) -> None:
    for _ in x_forwarded_for_nodes([line]):
        pass
    for _ in x_forwarded_for_nodes(line[:4096].split(",")):
        pass


def read_forwarded(line: str) -> None:
    for _ in forwarded_nodes([line]):
        pass
    for _ in forwarded_nodes([f'for="{line}"', f'for="{line}']):
        pass


def read_address(line: str) -> None:
    parse_address(line)
    parse_address(f"[{line}]:80")
    parse_address(f"fe80::1%{line}")


def find_client(header: ForwardingHeader) -> Callable[[str], None]:
    def read(line: str) -> None:
        client_address("10.0.0.1", header, [line], TRUSTED)

    return read


READERS: dict[str, Callable[[str], None]] = {
    "x_forwarded_for_nodes": read_x,
    "forwarded_nodes": read_forwarded,
    "parse_address": read_address,
    "client_address, X-Forwarded-For": find_client("X-Forwarded-For"),
    "client_address, Forwarded": find_client("Forwarded"),
}
every_reader = pytest.mark.parametrize("reader", READERS.values(), ids=READERS.keys())
every_shape = pytest.mark.parametrize("unit", SHAPES.values(), ids=SHAPES.keys())


def executed_lines(reader: Callable[[str], None], line: str) -> int:
    """Count the lines of the parsers that run: the same number each time."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        # A collection of garbage may run anybody's code meanwhile.
        if frame.f_code.co_filename not in PARSERS:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        reader(line)
    finally:
        sys.settrace(before)
    return count


@every_reader
@every_shape
def test_executed_lines_grow_with_the_length(reader: Callable[[str], None], unit: str) -> None:
    short, long = (executed_lines(reader, of_length(unit, length)) for length in (SHORT, LONG))
    assert long <= 9 * short, (short, long)


@every_reader
@every_shape
def test_processor_time_grows_with_the_length(reader: Callable[[str], None], unit: str) -> None:
    short, long = (cpu_s(reader, of_length(unit, length)) for length in (SHORT, LONG))
    # Below this a clock's tick decides, and the time is nobody's trouble.
    assert long < MOST_GROWTH * max(short, 20e-6), (short, long)


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
@every_shape
def test_longest_header_of_a_client_costs_no_more_lines_than_an_empty_one(
    header: ForwardingHeader, unit: str
) -> None:
    """What a client sent is left of what the proxy appended, and is not looked at."""
    appended = "203.0.113.9" if header == "X-Forwarded-For" else "for=203.0.113.9"
    without, with_it = (
        executed_lines(find_client(header), f"{sent}, {appended}") for sent in ("", of_length(unit, LONG))
    )
    assert with_it <= without
