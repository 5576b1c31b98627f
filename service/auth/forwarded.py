"""Reads the entries of forwarding headers backwards.

A proxy appends what it knows to what it was sent. So only the right end of a header is known to be a
proxy's, and everything left of it may be a client's own invention: quotation marks that would swallow
what follows, say. Reading backwards never comes upon those before it has read what was appended.
Both readers are lazy, and linear in the bytes that they are asked for.
"""

import re
from collections.abc import Iterator, Sequence

_BLANK = " \t"

# RFC 7239's forwarded-pair, but for values without quotation marks, which may hold more than a token's
# letters: many proxies write IPv6 addresses so.
_PAIR = re.compile(
    r"""
    [ \t]*+
    (?:
        (?P<name> [^\s"=;,\\]++ ) =
        (?: (?P<plain> [^\s";,\\]*+ ) | "(?P<quoted> (?: [^"\\]++ | \\. )*+ )" )
        [ \t]*+
    )?
    (?: ; | \Z )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# One element of a reversed line, with the commas before it. Backwards, a quotation mark that a backslash
# follows is inside a quoted string, and any other opens it: there, "=" follows.
_ELEMENT_BACKWARDS = re.compile(
    r"""
    [ \t,]*+
    (?P<element> (?: [^",]++ | " (?: [^"]++ | "(?=\\) )*+ " )*+ )
    (?: , | \Z )
    """,
    re.VERBOSE,
)


def x_forwarded_for_nodes(lines: Sequence[str]) -> Iterator[str]:
    """Give the entries of X-Forwarded-For, the last one first, without the empty ones.

    `lines` holds the header's lines in the order they came.
    """
    for line in reversed(lines):
        end = len(line)
        while end > 0:
            start = line.rfind(",", 0, end) + 1
            entry = line[start:end].strip(_BLANK)
            if entry:
                yield entry
            end = start - 1


def forwarded_nodes(lines: Sequence[str]) -> Iterator[str | None]:
    """Give what each element of Forwarded (RFC 7239) calls `for`, the last one first.

    None stands for an element that is malformed, or names no `for`. `lines` holds the header's lines
    in the order they came; an element ends where its line does.
    """
    for line in reversed(lines):
        backwards = line[::-1]
        position = 0
        while position < len(backwards):
            matched = _ELEMENT_BACKWARDS.match(backwards, position)
            if matched is None:  # a quotation mark that closes what none opened
                yield None
                return
            if matched["element"]:
                yield _node(matched["element"][::-1])
            position = matched.end()


def _node(element: str) -> str | None:
    node: str | None = None
    position = 0
    while position < len(element):
        pair = _PAIR.match(element, position)
        if pair is None:
            return None
        if (pair["name"] or "").lower() == "for":
            if node is not None:
                return None
            node = _value(pair)
        position = pair.end()
    return node


def _value(pair: re.Match[str]) -> str:
    quoted = pair["quoted"]
    return pair["plain"] if quoted is None else _ESCAPED.sub(r"\1", quoted)
