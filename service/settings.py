"""tiber-serve.toml and the environment, as frozen settings; read by cli, bootstrap and cluster alone."""

import ipaddress
import os
import tomllib
from pathlib import Path
from typing import Any, Literal

import pydantic
from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from service.errors import ConfigError

DEFAULT_FILE = "tiber-serve.toml"


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class AuthSettings(_Section):
    """Tokens and bans."""

    tokens_file: Path = Field(Path("var/tokens.json"), description="Where token hashes are kept, mode 0600.")
    max_failures: int = Field(5, gt=0, description="Wrong tokens that ban an address.")
    ban_s: float = Field(300.0, gt=0, description="Seconds a ban lasts.")
    reset_s: float = Field(
        1800.0, gt=0, description="Seconds without a wrong token after which the count starts anew."
    )
    trusted_proxies: tuple[str, ...] = Field(
        (), description="Networks (CIDR) whose X-Forwarded-For is believed."
    )

    @pydantic.field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network, strict=False)
        return value


class ModelSettings(_Section):
    """One model: a folder made by export/convert.py, and how to run it."""

    path: Path = Field(description="The model's folder.")
    name: str | None = Field(None, description="The name clients use; the manifest's when left out.")
    backend: Literal["openvino", "fake"] = Field("openvino", description="The engine that runs it.")
    device: str | None = Field(
        None, description="OpenVINO device, such as CPU or GPU; the manifest's if unset."
    )
    python: Path | None = Field(None, description="Another Python interpreter for the engine process.")
    cache_gib: int | None = Field(
        None, gt=0, description="KV cache in GiB; two fifths of the available memory, 1 to 16, if unset."
    )
    prefix_caching: bool = Field(
        True, description="Keep the KV cache of prompts for prompts that begin alike."
    )
    max_batched_tokens: int = Field(256, gt=0, description="Tokens of all requests in one engine step.")
    max_concurrent_requests: int = Field(
        100, gt=0, description="Requests running or waiting; one more is answered 429."
    )
    max_running_requests: int = Field(100, gt=0, description="Requests in the engine at once; others wait.")
    request_timeout_s: float = Field(30.0, gt=0, description="Seconds a request may take in all.")
    default_max_new_tokens: int = Field(
        100, gt=0, description="Tokens generated when the client says nothing."
    )
    default_max_chat_tokens: int = Field(
        1024, gt=0, description="The same for chats, whose answers end by themselves."
    )
    max_input_tokens: int | None = Field(
        None, gt=0, description="Longest prompt in tokens; one less than the total if unset."
    )
    max_total_tokens: int | None = Field(
        None, gt=0, description="Prompt and answer together; the model's context if unset."
    )
    properties: dict[str, str] | None = Field(
        None, description="OpenVINO properties, as they are; measured defaults for the device if unset."
    )


class Settings(BaseSettings):
    """All settings; the command line wins over the environment (`TIBER_AUTH__BAN_S`), that over the file."""

    model_config = SettingsConfigDict(
        env_prefix="TIBER_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for every interface.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="Log lines as JSON or for people; auto means people at a terminal."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged.")
    max_body_bytes: int = Field(
        16 * 2**20, gt=0, description="Largest request body; one more is answered 413."
    )
    drain_timeout_s: float = Field(
        30.0, ge=0, description="Seconds open requests get to finish after SIGTERM."
    )
    metrics: bool = Field(True, description="Serve Prometheus metrics at /metrics.")
    metrics_auth: bool = Field(False, description="Whether /metrics asks for a token, as the API does.")
    otel_endpoint: pydantic.HttpUrl | None = Field(
        None,
        description="OpenTelemetry collector that gets traces, such as http://localhost:4318; none if unset.",
    )
    auth: AuthSettings = Field(AuthSettings(), description="Tokens and bans.")
    models: tuple[ModelSettings, ...] = Field((), description="The models to serve, the default one first.")


def load_settings(file: Path | None, overrides: dict[str, Any]) -> Settings:
    """Read the settings; `file` None means ./tiber-serve.toml if there is one.

    Relative paths in the file are taken from the file's own folder.

    Raises:
        ConfigError: one line naming key, value and what is allowed.
    """
    path = file or Path(DEFAULT_FILE)
    values = _read_file(path) if file or path.is_file() else {}

    class Layered(Settings):
        """Settings with this file as the layer below the environment."""

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=values)

    try:
        return Layered(**overrides)
    except (pydantic.ValidationError, SettingsError) as error:
        raise ConfigError(_describe(error, str(path) if values else None)) from error


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: it is not UTF-8 text") from error
    folder = path.resolve().parent
    models = values.get("models")
    for model in models if isinstance(models, list) else []:
        _resolve(model, ("path", "python"), folder)
    _resolve(values.get("auth"), ("tokens_file",), folder)
    return values


def _resolve(section: object, keys: tuple[str, ...], folder: Path) -> None:
    """Take relative paths from the file's folder; what is no path is left for validation to refuse."""
    if isinstance(section, dict):
        for key in keys:
            if isinstance(section.get(key), str):
                section[key] = str(folder / section[key])


def _describe(error: pydantic.ValidationError | SettingsError, origin: str | None) -> str:
    where = f"{origin}, or the environment" if origin else "the command line, or the environment"
    if isinstance(error, SettingsError):
        return f"{where}: {error}: {_first_cause(error)}"
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{where}: `{key}` is not a setting"
    if first["type"] == "missing":
        return f"{where}: `{key}` must be given"
    return f"{where}: `{key}` = {first['input']!r}: {first['msg']}"


def _first_cause(error: SettingsError) -> str:
    """The variable's own value, as the parser saw it, and what it says of it."""
    cause = error.__cause__
    variables = sorted(name for name in os.environ if name.startswith("TIBER_"))
    return f"{cause}; set are {', '.join(variables)}"
