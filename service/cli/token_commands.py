"""The commands token create, list, rotate, revoke."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from service import bootstrap
from service.auth.token_text import id_of
from service.cli.duration import parse_duration
from service.cli.options import ConfigOption, TokensFileOption, load
from service.cli.token_table import as_json, lines, table
from service.errors import ConfigError
from service.settings import AuthSettings
from service.telemetry.logs import configure_logs

token_app = typer.Typer(
    help="Make, list, renew or revoke the tokens that clients send.", no_args_is_help=True
)

_NameArgument = Annotated[str, typer.Argument(help="The name it was created under.")]


def _examples(*examples: str) -> str:
    # A blank line between keeps each on a line of its own.
    return "Examples:\n\n" + "\n\n".join(examples)


@token_app.command(
    "create",
    epilog=_examples(
        "tiber-serve token create alice",
        "tiber-serve token create shop --expires 90d --model llama --rate 10/s --burst 25",
        "TOKEN=$(tiber-serve token create nightly --max-concurrent 2)",
    ),
)
def token_create(
    name: Annotated[str, typer.Argument(help="A name to know it by: letters, digits, and . _ -")],
    expires: Annotated[
        str | None, typer.Option(help="How long it works: 30s, 5m, 24h, 90d, 2w. Default: for ever.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="A model that it may use; repeat it for more. Default: every model."),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(help="Requests it may make: 10/s, 600/m, 1000/h. Default: limits.token_rate."),
    ] = None,
    burst: Annotated[
        int | None, typer.Option(min=1, help="Of these, how many at once. Default: as many as in a second.")
    ] = None,
    max_concurrent: Annotated[
        int | None,
        typer.Option(min=1, help="Requests it may have open at once. Default: limits.token_concurrency."),
    ] = None,
    config: ConfigOption = None,
    tokens_file: TokensFileOption = None,
) -> None:
    """Make a token known as NAME and print it: the only time that it can be seen.

    A running service takes it at once. Nothing but the token goes to stdout.
    """
    expires_in = parse_duration(expires, option="--expires") if expires is not None else None
    if expires_in is not None and not expires_in:
        raise ConfigError("--expires must be more than 0: such a token would never work")
    if burst is not None and rate is None:
        raise ConfigError("--burst needs --rate: say how many requests, such as --rate 10/s")
    auth = _auth(config, tokens_file)
    text = bootstrap.build_token_store(auth).create(
        name,
        expires_in=expires_in,
        models=model or (),
        rate=rate,
        burst=burst,
        max_concurrent=max_concurrent,
    )
    _show(text, f"Only its hash is stored. For a new secret: tiber-serve token rotate {name}")
    bootstrap.record_event(auth, "token_created", token_name=name, token_id=id_of(text))


@token_app.command(
    "list",
    epilog=_examples(
        "tiber-serve token list", "tiber-serve token list | cut -f 1", "tiber-serve token list --json"
    ),
)
def token_list(
    as_json_: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
    config: ConfigOption = None,
    tokens_file: TokensFileOption = None,
) -> None:
    """List the tokens, oldest first; only their hashes are stored.

    A table at a terminal, else a line for each with its columns parted by tabs. The last use is up to
    a minute old. A secret that was rotated out stays in the list until 30 days after its end.
    """
    records = bootstrap.build_token_store(_auth(config, tokens_file)).list()
    now = datetime.now(UTC)
    if as_json_:
        typer.echo(as_json(records, now=now))
        return
    console = Console()
    if console.is_terminal:
        console.print(table(records, now=now) if records else "No tokens yet: tiber-serve token create NAME")
        return
    for line in lines(records, now=now):
        typer.echo(line)


@token_app.command(
    "rotate",
    epilog=_examples(
        "tiber-serve token rotate alice",
        "tiber-serve token rotate alice --grace 2w",
        "tiber-serve token rotate alice --grace 0s   (the old secret has leaked)",
    ),
)
def token_rotate(
    name: _NameArgument,
    grace: Annotated[
        str, typer.Option(help="How long the old secret works beside the new one; 0s ends it at once.")
    ] = "24h",
    config: ConfigOption = None,
    tokens_file: TokensFileOption = None,
) -> None:
    """Give the token NAME a new secret and print it; the old one works until the grace is over.

    Models and limits stay. A token that was made to live 90 days lives another 90 from now.
    """
    length = parse_duration(grace, option="--grace")
    auth = _auth(config, tokens_file)
    text = bootstrap.build_token_store(auth).rotate(name, grace=length)
    _show(text, f"The old secret works for {grace} more" if length else "The old secret works no more")
    bootstrap.record_event(auth, "token_rotated", token_name=name, token_id=id_of(text), grace=grace)


@token_app.command("revoke", epilog=_examples("tiber-serve token revoke alice"))
def token_revoke(
    name: _NameArgument, config: ConfigOption = None, tokens_file: TokensFileOption = None
) -> None:
    """Make the token NAME worthless, all the secrets it ever had; a running service refuses it within 2 s."""
    auth = _auth(config, tokens_file)
    bootstrap.build_token_store(auth).revoke(name)
    typer.echo(f"revoked: {name}")
    bootstrap.record_event(auth, "token_revoked", token_name=name)


def _auth(config: Path | None, tokens_file: Path | None) -> AuthSettings:
    # What the store logs belongs to stderr.
    configure_logs("auto", "warning")
    return load(config, tokens_file=tokens_file).auth


def _show(text: str, hint: str) -> None:
    """Print the token alone, so that scripts can capture it; hints are for people."""
    typer.echo(text)
    if sys.stderr.isatty():
        typer.echo(f"Send it as: Authorization: Bearer TOKEN. {hint}.", err=True)
