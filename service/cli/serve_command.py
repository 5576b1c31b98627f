"""The command serve."""

import os
import socket
import time
from pathlib import Path
from typing import Annotated

import typer

from service import bootstrap
from service.cli.options import TOKEN_VARIABLE, ConfigOption, TokensFileOption, load
from service.errors import ConfigError
from service.settings import Settings, with_options
from service.telemetry.logs import configure_logs

_FIRST_TOKEN_NAME = "first-start"  # noqa: S105 - a name
_BACKLOG = 2048


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
    reproducible: Annotated[
        bool | None,
        typer.Option("--reproducible", help="Every model's answers the same at any load; slower, CPU only."),
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
    settings = load(
        config,
        tokens_file=tokens_file,
        host=host,
        port=port,
        log_format=log_format,
        log_level=log_level,
        models=[{"path": str(path)} for path in model] if model else None,
    )
    settings = _with_model_options(
        settings,
        device=device,
        cache_gib=cache_gib,
        reproducible=reproducible,
        request_timeout_s=request_timeout,
    )
    configure_logs(settings.log_format, settings.log_level)
    extra_token = os.environ.get(TOKEN_VARIABLE) or None
    service = bootstrap.build_service(settings, extra_token=extra_token)
    # Imported late: --help and every wrong setting answer without the web framework.
    from service.api.server import Server

    server = Server(service, drain_timeout_s=settings.drain_timeout_s)
    listener = _listen(settings.host, settings.port)
    url = f"{server.scheme}://{_for_url(settings.host)}:{listener.getsockname()[1]}"

    def announce() -> None:
        # Not before: a service that never gets ready would have made one that nobody saw.
        token = _first_token(settings, extra_token)
        typer.echo(f"ready after {time.monotonic() - began_s:.1f} s: {url}")
        _print_example(url, token, has_extra_token=extra_token is not None)

    server.run_on(listener, on_ready=announce)


def _with_model_options(settings: Settings, **options: float | str | None) -> Settings:
    given = {key: value for key, value in options.items() if value is not None}
    models = settings.models or bootstrap.discover_models(bootstrap.MODELS_FOLDER)
    return settings.model_copy(update={"models": tuple(with_options(model, given) for model in models)})


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
        typer.echo(f"token: the one in the environment variable {TOKEN_VARIABLE}")
    else:
        typer.echo("token: one made earlier; for a new one: tiber-serve token create NAME")
    typer.echo(f"playground: {url}/")
    shown = token or ("$VALID_TOKEN" if has_extra_token else "YOUR_TOKEN")
    typer.echo(
        f'try: curl {url}/generate -H "Authorization: Bearer {shown}" -H "Content-Type: application/json" '
        """-d '{"inputs": "<|im_start|>user\\nWhat is gravity?<|im_end|>\\n<|im_start|>assistant\\n", """
        """"parameters": {"max_new_tokens": 60}}'"""
    )
