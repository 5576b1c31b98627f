"""The command line: serve, tune, check-config, token, ban, doctor."""

import os
import sys

import typer
from rich.console import Console
from rich.markup import escape

from service import bootstrap
from service.api.tls import read_certificates
from service.cli.ban_commands import ban_app
from service.cli.options import TOKEN_VARIABLE, ConfigOption, load
from service.cli.serve_command import serve
from service.cli.token_commands import token_app
from service.cli.tune_command import tune
from service.errors import TiberError

app = typer.Typer(
    name="tiber-serve",
    help="Serve language models on Intel hardware with OpenVINO behind one small REST API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(tune)
app.add_typer(token_app, name="token")
app.add_typer(ban_app, name="ban")

_out = Console()
_err = Console(stderr=True)


@app.command("check-config")
def check_config(config: ConfigOption = None) -> None:
    """Check the settings and the model folders they name; start nothing."""
    settings = load(config)
    service = bootstrap.build_service(settings, extra_token=os.environ.get(TOKEN_VARIABLE) or None)
    read_certificates(settings.tls)
    typer.echo(f"ok: {settings.host}:{settings.port}")
    for name, model in service.models.items():
        limits = model.limits
        typer.echo(
            f"ok: model {name} ({model.manifest.weight_format}) on {model.device}, "
            f"at most {limits.max_input} tokens in, {limits.max_total} in all"
        )


@app.command()
def doctor(config: ConfigOption = None) -> None:
    """Examine this machine: what serving depends on, what is wrong, how to mend it."""
    from service.doctor import gather, render

    settings = load(config)
    report = gather([bootstrap.MODELS_FOLDER, *(model.path for model in settings.models)])
    render(report, _out)
    if report.problems:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; every expected error is one line, with exit status 2."""
    try:
        app()
    except TiberError as error:
        _err.print(f"[bold red]error:[/] {escape(error.message)}", soft_wrap=True, highlight=False)
        sys.exit(2)
