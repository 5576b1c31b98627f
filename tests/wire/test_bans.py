"""Who is banned by a running server behind a proxy: each client that guesses, and nobody else."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model

# Linux has the whole 127.0.0.0/8: the one is the proxy, the other a client that goes around it.
PROXY, OUTSIDER = "127.0.0.1", "127.0.0.2"
MAX_FAILURES = 5
Headers = Sequence[tuple[str, str]]


def serve(folder: Path, tiny_model: Path, auth: str) -> Iterator[RunningServer]:
    config = f'[auth]\ntrusted_proxies = ["{PROXY}", "10.0.0.0/8"]\n{auth}\n{fake_model(tiny_model)}'
    with running_server(folder, config) as server:
        yield server


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    yield from serve(tmp_path_factory.mktemp("bans"), tiny_model, "")


@pytest.fixture(scope="module")
def rfc_server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    yield from serve(tmp_path_factory.mktemp("rfc"), tiny_model, 'forwarding_header = "Forwarded"')


async def ask(server: RunningServer, token: str, headers: Headers = (), *, peer: str = PROXY) -> int:
    """Send one request on a connection of its own; give the answer's status."""
    lines = ["GET /v1/models HTTP/1.1", "Host: x", "Connection: close", f"Authorization: Bearer {token}"]
    lines += [f"{name}: {value}" for name, value in headers]
    reader, writer = await asyncio.open_connection(*server.address, local_addr=(peer, 0))
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    await writer.wait_closed()
    return int(answer.split(maxsplit=2)[1])


def sent_by(client: str) -> Headers:
    return [("X-Forwarded-For", client)]


async def guess(server: RunningServer, client: str) -> int:
    return await ask(server, f"guess-{random.random()}", sent_by(client))


async def storm(server: RunningServer, guesses: dict[str, int]) -> dict[str, Counter[int]]:
    """Send so many wrong tokens from each address, all at once and in any order; count the answers."""
    order = [address for address, count in guesses.items() for _ in range(count)]
    random.shuffle(order)
    statuses = await asyncio.gather(*(guess(server, address) for address in order))
    answers: dict[str, Counter[int]] = {address: Counter() for address in guesses}
    for address, status in zip(order, statuses, strict=True):
        answers[address][status] += 1
    return answers


async def banned(server: RunningServer, clients: Sequence[str]) -> set[str]:
    """Those whose right token is refused."""
    statuses = [await ask(server, server.token, sent_by(client)) for client in clients]
    assert set(statuses) <= {200, 403}
    return {client for client, status in zip(clients, statuses, strict=True) if status == 403}


def many(network: str, count: int = 200) -> list[str]:
    return [f"{network}.{number}" for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("network", "counts"),
    [
        pytest.param("198.51.100", [5], id="1000 wrong tokens: all banned"),
        pytest.param("198.18.1", [4], id="800: none banned"),
        pytest.param("198.18.2", [1, 4, 5, 6, 9], id="1000: those with five or more"),
    ],
)
async def test_wrong_tokens_at_once_from_200_addresses_ban_exactly_the_right_ones(
    server: RunningServer, network: str, counts: list[int]
) -> None:
    addresses = many(network)
    guesses = {address: counts[index % len(counts)] for index, address in enumerate(addresses)}
    answers = await storm(server, guesses)
    for address, count in guesses.items():
        refused = min(count, MAX_FAILURES)
        assert answers[address] == +Counter({401: refused, 403: count - refused}), address
    assert await banned(server, addresses) == {
        address for address, count in guesses.items() if count >= MAX_FAILURES
    }
    assert await ask(server, server.token) == 200, "the proxy itself"
    assert await banned(server, many("203.0.113", 20)) == set(), "others behind the proxy"


async def test_addresses_of_one_ipv6_network_are_banned_as_one(server: RunningServer) -> None:
    hosts = [f"2001:db8:7:1::{host:x}" for host in range(1, 6)]
    assert await storm(server, dict.fromkeys(hosts, 1)) == {host: Counter({401: 1}) for host in hosts}
    assert await ask(server, server.token, sent_by("2001:db8:7:1:aaaa:bbbb:cccc:dddd")) == 403
    assert await ask(server, server.token, sent_by("2001:db8:7:2::1")) == 200


VICTIM = "203.0.113.77"
# What a client sends, of which its proxy appends to the last X-Forwarded-For, or adds one of its own.
SPOOFS: dict[str, list[Headers]] = {
    "a victim's address": [sent_by(VICTIM)],
    "another each time": [sent_by(f"203.0.113.{number}") for number in range(100, 105)],
    "the proxy's own": [sent_by(PROXY), sent_by("10.0.0.1"), sent_by(f"{VICTIM}, {PROXY}")],
    "the header twice": [[*sent_by(VICTIM), *sent_by("10.0.0.1")]],
    "mixed case": [[("x-FORWARDED-for", VICTIM)]],
    "tabs and empty elements": [sent_by(f"{VICTIM}\t,,\t, ")],
    "bytes over 127": [sent_by(f"\xa0{VICTIM}\x85\xff")],
    "quotation marks": [sent_by(f'"{VICTIM}'), sent_by(f'{VICTIM}, "')],
    "8 KiB": [sent_by(f"{VICTIM}, {PROXY}," + "10.0.0.1," * 900)],
    "headers that are not read": [
        [(name, value)]
        for name, value in [
            ("Forwarded", f"for={VICTIM}"),
            ("X_Forwarded_For", VICTIM),
            ("X-Forwarded-For-", VICTIM),
            ("X-Real-IP", VICTIM),
            ("True-Client-IP", VICTIM),
            ("CF-Connecting-IP", VICTIM),
            ("Client-IP", VICTIM),
        ]
    ],
}


@pytest.mark.parametrize(("number", "sent"), list(enumerate(SPOOFS.values())), ids=SPOOFS.keys())
async def test_client_that_forges_the_header_is_banned_itself_and_nobody_else(
    server: RunningServer, number: int, sent: list[Headers]
) -> None:
    attacker = f"198.18.3.{number + 1}"
    for turn in range(MAX_FAILURES):
        headers = [*sent[turn % len(sent)], ("X-Forwarded-For", attacker)]
        assert await ask(server, f"guess-{turn}", headers) == 401
    for forged in sent:
        assert await ask(server, server.token, [*forged, ("X-Forwarded-For", attacker)]) == 403
    assert await banned(server, [attacker, VICTIM, *many("203.0.113", 110)]) == {attacker}
    assert await ask(server, server.token) == 200, "the proxy itself"


async def test_client_that_goes_around_the_proxy_is_banned_under_its_own_address(
    server: RunningServer,
) -> None:
    for turn in range(MAX_FAILURES):
        headers = sent_by(f"203.0.113.{turn + 120}")
        assert await ask(server, f"guess-{turn}", headers, peer=OUTSIDER) == 401
    assert await ask(server, server.token, sent_by("203.0.113.130"), peer=OUTSIDER) == 403
    assert await banned(server, [f"203.0.113.{turn + 120}" for turn in range(MAX_FAILURES)]) == set()
    assert await ask(server, server.token) == 200, "the proxy itself"


async def test_several_tokens_in_one_request_are_one_guess(server: RunningServer) -> None:
    """The first counts: sending the right one last opens nothing, and none is tried for free."""
    more = [("Authorization", f"Bearer {token}") for token in ("guess-2", server.token)]
    for _ in range(MAX_FAILURES):
        assert await ask(server, "guess-1", [*more, *sent_by("198.18.4.1")]) == 401
    assert await banned(server, ["198.18.4.1"]) == {"198.18.4.1"}


FORWARDED_SPOOFS = {
    "a victim's address": f"for={VICTIM}",
    "a quotation that swallows what follows": f'for={VICTIM};host="',
    "an escaped quotation mark": rf'for="{VICTIM}\"',
    "a trusted hop": f"for={VICTIM}, for=10.0.0.1",
    "commas in quotes": f'for="{VICTIM}, for=10.0.0.1"',
}


@pytest.mark.parametrize(
    ("number", "sent"), list(enumerate(FORWARDED_SPOOFS.values())), ids=FORWARDED_SPOOFS.keys()
)
@pytest.mark.parametrize("joins", [True, False], ids=["same line", "line of its own"])
async def test_client_that_forges_forwarded_is_banned_itself_and_nobody_else(
    rfc_server: RunningServer, number: int, sent: str, joins: bool
) -> None:
    attacker = f"198.18.{5 + joins}.{number + 1}"
    appended = f'for="{attacker}:4711";proto=https;host="a, b"'
    lines = [f"{sent}, {appended}"] if joins else [sent, appended]
    # The other header is passed on by a proxy that sets this one.
    headers = [("X-Forwarded-For", VICTIM), *(("Forwarded", line) for line in lines)]
    for turn in range(MAX_FAILURES):
        assert await ask(rfc_server, f"guess-{turn}", headers) == 401
    assert await ask(rfc_server, rfc_server.token, headers) == 403
    for other in (f"for={VICTIM}", "for=10.0.0.1", 'for="[2001:db8::1]"'):
        assert await ask(rfc_server, rfc_server.token, [("Forwarded", other)]) == 200, other
    assert await ask(rfc_server, rfc_server.token) == 200, "the proxy itself"
