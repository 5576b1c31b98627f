"""The commands token create, list, revoke."""

from typing import Annotated

import typer

from service import bootstrap
from service.cli.options import ConfigOption, TokensFileOption, load

token_app = typer.Typer(help="Create, list or revoke the tokens that clients send.", no_args_is_help=True)


@token_app.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="A name to know it by.")],
    config: ConfigOption = None,
    tokens_file: TokensFileOption = None,
) -> None:
    """Make a token and print it: the only time that it can be seen."""
    store = bootstrap.build_token_store(load(config, tokens_file=tokens_file).auth)
    typer.echo(store.create(name))


@token_app.command("list")
def token_list(config: ConfigOption = None, tokens_file: TokensFileOption = None) -> None:
    """List the tokens by name; only their hashes are stored."""
    store = bootstrap.build_token_store(load(config, tokens_file=tokens_file).auth)
    for record in store.list():
        created = f"{record.created_at:%Y-%m-%d %H:%M} UTC" if record.created_at else ""
        typer.echo(f"{record.name}\t{record.id}\t{created}")


@token_app.command("revoke")
def token_revoke(
    name: Annotated[str, typer.Argument(help="The name it was created under.")],
    config: ConfigOption = None,
    tokens_file: TokensFileOption = None,
) -> None:
    """Make a token worthless; a running service refuses it within seconds."""
    bootstrap.build_token_store(load(config, tokens_file=tokens_file).auth).revoke(name)
    typer.echo(f"revoked: {name}")
