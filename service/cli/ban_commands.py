"""The commands ban add, lift, list."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service import bootstrap
from service.auth.address import LOCAL, counting_key, parse_address
from service.auth.failures import FOREVER, Ban, BanList
from service.bootstrap.stores import open_ban_list
from service.cli.duration import parse_duration
from service.cli.options import ConfigOption, load
from service.errors import ConfigError
from service.settings import AuthSettings

ban_app = typer.Typer(
    help="Ban addresses, list or lift their bans; running services heed it within 2 s.", no_args_is_help=True
)

_DEFAULT_FOR = "1h"
_ADDRESS = "An IPv4 address, or an IPv6 one, which stands for its network of /64."
_AddressArgument = Annotated[str, typer.Argument(help=_ADDRESS)]

_Answer = TypeVar("_Answer")


@ban_app.command("list")
def ban_list(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
    config: ConfigOption = None,
) -> None:
    """List the bans that are running, the one that ends first before the others.

    A table at a terminal, else a line for each: address, end (or "forever"), reason, parted by tabs.
    """
    now = time.time()
    bans = _with_bans(load(config).auth, lambda found: found.bans(now=now))
    console = Console()
    if as_json:
        typer.echo(json.dumps([_fields(ban, now) for ban in bans], indent=2))
    elif console.is_terminal:
        console.print(_table(bans) if bans else "Nobody is banned.")
    else:
        for ban in bans:
            # A reason is one line here, whatever its writer thought.
            typer.echo(f"{ban.address}\t{_end(ban) or 'forever'}\t{' '.join(ban.reason.split())}")


@ban_app.command("lift")
def ban_lift(address: _AddressArgument, config: ConfigOption = None) -> None:
    """Let ADDRESS in again. The failures that led to the ban are forgotten."""
    auth, key = load(config).auth, _key(address)
    if not _with_bans(auth, lambda found: found.lift(key, now=time.time())):
        raise ConfigError(f"{key} is not banned; see: tiber-serve ban list")
    bootstrap.record_event(auth, "ban_lifted", address=key)
    typer.echo(f"lifted: {key}")


@ban_app.command("add")
def ban_add(
    address: _AddressArgument,
    length: Annotated[
        str | None, typer.Option("--for", help=f"How long: 30s, 5m, 24h, 90d, 2w. Default: {_DEFAULT_FOR}.")
    ] = None,
    is_forever: Annotated[bool, typer.Option("--forever", help="Until it is lifted.")] = False,
    reason: Annotated[str, typer.Option(help="Why, for the list.")] = "operator",
    config: ConfigOption = None,
) -> None:
    """Keep ADDRESS out, right tokens included; in place of any ban that it has."""
    auth, key, now = load(config).auth, _key(address), time.time()
    if not reason.isprintable():
        raise ConfigError("--reason must be one line of printable text")
    until = _until(length, is_forever=is_forever, now=now)
    _with_bans(auth, lambda found: found.ban(key, until=until, now=now, reason=reason))
    ban = Ban(address=key, until=until, reason=reason)
    end = _end(ban) or "forever"
    bootstrap.record_event(auth, "ban_added", address=key, until=end, ban_reason=reason)
    typer.echo(f"banned: {key} {end if end == 'forever' else f'until {end}'}")


def _with_bans(auth: AuthSettings, ask: Callable[[BanList], Awaitable[_Answer]]) -> _Answer:
    async def answer() -> _Answer:
        async with open_ban_list(auth) as bans:
            return await ask(bans)

    return asyncio.run(answer())


def _key(text: str) -> str:
    """The address or network that `text` is counted and banned under.

    Raises:
        ConfigError: it is neither, or a network of another size than those that are banned.
    """
    if text == LOCAL:
        return LOCAL
    host, _, length = text.partition("/")
    address = parse_address(host)
    if address is None:
        raise ConfigError(f"{text!r} is no address, such as 192.0.2.7 or 2001:db8::7")
    key = counting_key(address)
    if length and not _is_network(key, f"{address}/{length}"):
        raise ConfigError(f"{text!r} can't be banned as a whole: this address is counted as {key}")
    return key


def _is_network(key: str, text: str) -> bool:
    try:
        return ip_network(text, strict=False) == ip_network(key)
    except ValueError:
        return False


def _until(length: str | None, *, is_forever: bool, now: float) -> float:
    if is_forever:
        if length is not None:
            raise ConfigError("--for and --forever can't both be given")
        return FOREVER
    seconds = parse_duration(_DEFAULT_FOR if length is None else length, option="--for").total_seconds()
    if seconds <= 0:
        raise ConfigError("--for must be more than 0; to end a ban: tiber-serve ban lift ADDRESS")
    return now + seconds


def _end(ban: Ban) -> str | None:
    """When a ban ends, as ISO 8601; None when never."""
    if ban.until >= FOREVER:
        return None
    return f"{datetime.fromtimestamp(ban.until, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _fields(ban: Ban, now: float) -> dict[str, object]:
    end = _end(ban)
    left_s = round(ban.until - now, 1) if end else None
    return {"address": ban.address, "until": end, "left_s": left_s, "reason": ban.reason}


def _table(bans: Sequence[Ban]) -> Table:
    shown = Table(box=None, pad_edge=False, caption="times in UTC", caption_justify="left")
    for column in ("address", "until", "reason"):
        shown.add_column(column, overflow="fold")
    for ban in bans:
        shown.add_row(Text(ban.address), _end(ban) or "forever", Text(ban.reason))
    return shown
