"""The command line: serve, check-config, token, doctor."""

import os
import socket
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from service import bootstrap
from service.errors import ConfigError, TiberError
from service.settings import Settings, load_settings
from service.telemetry.logs import configure_logs

_TOKEN_VARIABLE = "VALID_TOKEN"  # noqa: S105 - a name
_FIRST_TOKEN_NAME = "first-start"  # noqa: S105 - a name
_BACKLOG = 2048

app = typer.Typer(
    name="tiber-serve",
    help="Serve language models on Intel hardware with OpenVINO behind one small REST API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
token_app = typer.Typer(help="Create, list or revoke the tokens that clients send.", no_args_is_help=True)
app.add_typer(token_app, name="token")

_out = Console()
_err = Console(stderr=True)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file. Default: ./tiber-serve.toml if there is one."),
]
TokensFileOption = Annotated[
    Path | None, typer.Option("--tokens-file", help="Where token hashes are kept. Default: var/tokens.json.")
]


@app.command()
def serve(
    config: ConfigOption = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a converted model; repeat it for more, the default one first."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. Default: 8000; 0 picks one.")] = None,
    device: Annotated[
        str | None, typer.Option(help="OpenVINO device of every model: CPU, GPU, ... Default: the model's.")
    ] = None,
    cache_gib: Annotated[
        int | None, typer.Option(min=1, help="KV cache of each model in GiB. Default: by available memory.")
    ] = None,
    request_timeout: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds a request may take in all. Default: 30.")
    ] = None,
    tokens_file: TokensFileOption = None,
    log_format: Annotated[str | None, typer.Option(help="auto, json or console. Default: auto.")] = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error. Default: info.")
    ] = None,
) -> None:
    """Serve models over HTTP until SIGTERM (finishes open requests) or Ctrl-C (ends at once).

    Without --model and without a configuration, the one model under ./models is served.
    """
    began_s = time.monotonic()
    settings = _load(
        config,
        tokens_file=tokens_file,
        host=host,
        port=port,
        log_format=log_format,
        log_level=log_level,
        models=[{"path": str(path)} for path in model] if model else None,
    )
    settings = _with_model_options(
        settings, device=device, cache_gib=cache_gib, request_timeout_s=request_timeout
    )
    configure_logs(settings.log_format, settings.log_level)
    extra_token = os.environ.get(_TOKEN_VARIABLE) or None
    service = bootstrap.build_service(settings, extra_token=extra_token)
    listener = _listen(settings.host, settings.port)
    url = f"http://{_for_url(settings.host)}:{listener.getsockname()[1]}"
    token = _first_token(settings, extra_token)

    # Imported late: --help and every wrong setting answer without the web framework.
    from service.api.server import Server

    def announce() -> None:
        typer.echo(f"ready after {time.monotonic() - began_s:.1f} s: {url}")
        _print_example(url, token, has_extra_token=extra_token is not None)

    Server(service, drain_timeout_s=settings.drain_timeout_s, on_ready=announce).run(sockets=[listener])


@app.command("check-config")
def check_config(config: ConfigOption = None) -> None:
    """Check the settings and the model folders they name; start nothing."""
    settings = _load(config)
    service = bootstrap.build_service(settings, extra_token=os.environ.get(_TOKEN_VARIABLE) or None)
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

    settings = _load(config)
    report = gather([bootstrap.MODELS_FOLDER, *(model.path for model in settings.models)])
    render(report, _out)
    if report.problems:
        raise typer.Exit(1)


@token_app.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="A name to know it by.")],
    config: ConfigOption = None,
    tokens_file: TokensFileOption = None,
) -> None:
    """Make a token and print it: the only time that it can be seen."""
    store = bootstrap.build_token_store(_load(config, tokens_file=tokens_file).auth)
    typer.echo(store.create(name))


@token_app.command("list")
def token_list(config: ConfigOption = None, tokens_file: TokensFileOption = None) -> None:
    """List the tokens by name; only their hashes are stored."""
    store = bootstrap.build_token_store(_load(config, tokens_file=tokens_file).auth)
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
    bootstrap.build_token_store(_load(config, tokens_file=tokens_file).auth).revoke(name)
    typer.echo(f"revoked: {name}")


def main() -> None:
    """Run the command line; every expected error is one line, with exit status 2."""
    try:
        app()
    except TiberError as error:
        _err.print(f"[bold red]error:[/] {escape(error.message)}", soft_wrap=True, highlight=False)
        sys.exit(2)


def _load(config: Path | None, *, tokens_file: Path | None = None, **overrides: Any) -> Settings:  # noqa: ANN401 - settings of any type
    given = {key: value for key, value in overrides.items() if value is not None}
    if tokens_file is not None:
        given["auth"] = {"tokens_file": str(tokens_file)}
    return load_settings(config, given)


def _with_model_options(settings: Settings, **options: float | str | None) -> Settings:
    given = {key: value for key, value in options.items() if value is not None}
    models = settings.models or bootstrap.discover_models(bootstrap.MODELS_FOLDER)
    return settings.model_copy(update={"models": tuple(model.model_copy(update=given) for model in models)})


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"can't listen on {host}:{port}: {error.strerror}. Choose another with --host or --port"
        ) from error


def _for_url(host: str) -> str:
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _first_token(settings: Settings, extra_token: str | None) -> str | None:
    """Make a token when there is none at all; its text can't be had again."""
    store = bootstrap.build_token_store(settings.auth)
    if store.list() or extra_token is not None:
        return None
    return store.create(_FIRST_TOKEN_NAME)


def _print_example(url: str, token: str | None, *, has_extra_token: bool) -> None:
    if token is not None:
        typer.echo(f"token (shown this once, only its hash is stored): {token}")
    elif has_extra_token:
        typer.echo(f"token: the one in the environment variable {_TOKEN_VARIABLE}")
    else:
        typer.echo("token: one made earlier; for a new one: tiber-serve token create NAME")
    typer.echo(f"playground: {url}/")
    shown = token or ("$VALID_TOKEN" if has_extra_token else "YOUR_TOKEN")
    typer.echo(
        f'try: curl {url}/generate -H "Authorization: Bearer {shown}" -H "Content-Type: application/json" '
        """-d '{"inputs": "<|im_start|>user\\nWhat is gravity?<|im_end|>\\n<|im_start|>assistant\\n", """
        """"parameters": {"max_new_tokens": 60}}'"""
    )


if __name__ == "__main__":
    main()
