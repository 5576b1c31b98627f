"""tiber-serve.toml and the environment, as frozen settings; read by cli, bootstrap and cluster alone."""

import os
import re
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
from service.settings.sections import (
    AuthSettings,
    ImageSettings,
    LimitSettings,
    ModelSettings,
    TLSSettings,
)

__all__ = [
    "AuthSettings",
    "ImageSettings",
    "LimitSettings",
    "ModelSettings",
    "Settings",
    "TLSSettings",
    "load_settings",
    "with_options",
]

_SECRETS = ("auth.redis_url", "tls.key_password", "otel_endpoint")
_TABLES_WITH_SECRETS = ("auth", "tls")

DEFAULT_FILE = "tiber-serve.toml"
# As browsers write it: in lower case, without a path.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


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
    cors_origins: tuple[str, ...] = Field(
        (), description='Origins whose pages in a browser may call the API; ["*"] for all.'
    )
    auth: AuthSettings = Field(AuthSettings(), description="Tokens and bans.")
    limits: LimitSettings = Field(LimitSettings(), description="What one client may take.")
    images: ImageSettings = Field(ImageSettings(), description="Pictures for vision models.")
    tls: TLSSettings = Field(TLSSettings(), description="HTTPS.")
    models: tuple[ModelSettings, ...] = Field((), description="The models to serve, the default one first.")

    @pydantic.field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is no origin: SCHEME://HOST or SCHEME://HOST:PORT in lower case, or *"
                )
        return value


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


def with_options(model: ModelSettings, options: dict[str, Any]) -> ModelSettings:
    """The model with these of its settings changed by the command line.

    Raises:
        ConfigError: they are wrong, or can't go with its others.
    """
    try:
        return ModelSettings.model_validate({**model.model_dump(exclude_unset=True), **options})
    except pydantic.ValidationError as error:
        raise ConfigError(_describe(error, None)) from error


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
        _resolve(model, ("path", "python", "tuning_file"), folder)
    _resolve(values.get("auth"), ("tokens_file", "bans_file", "audit_log"), folder)
    _resolve(values.get("tls"), ("certificate", "key", "client_ca"), folder)
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
    if not key:
        # Settings of one model that contradict each other: the message names them.
        return f"{where}: {first['msg']}"
    return f"{where}: `{key}`{_shown(key, first['input'])}: {first['msg']}"


def _shown(key: str, value: object) -> str:
    """The value, unless it is a secret or may hold one, as a whole table does."""
    is_number = isinstance(value, int | float)
    is_safe = is_number if key in _TABLES_WITH_SECRETS else is_number or isinstance(value, str)
    return f" = {value!r}" if is_safe and key not in _SECRETS else ""


def _first_cause(error: SettingsError) -> str:
    """The variable's own value, as the parser saw it, and what it says of it."""
    cause = error.__cause__
    variables = sorted(name for name in os.environ if name.startswith("TIBER_"))
    return f"{cause}; set are {', '.join(variables)}"
