"""The tables of the settings file."""

import ipaddress
import os
from pathlib import Path
from typing import Literal

import pydantic
from pydantic import Field

from service.rate import parse_rate

# Longer times overflow what Redis and HTTP can say.
_CENTURY_S = 36_500 * 86_400


class Section(pydantic.BaseModel):
    """A table of the settings file."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AuthSettings(Section):
    """Tokens and bans."""

    tokens_file: Path = Field(Path("var/tokens.json"), description="Where token hashes are kept, mode 0600.")
    max_failures: int = Field(5, gt=0, description="Wrong tokens that ban an address.")
    ban_s: float = Field(300.0, gt=0, le=_CENTURY_S, description="Seconds a ban lasts.")
    reset_s: float = Field(
        1800.0,
        gt=0,
        le=_CENTURY_S,
        description="Seconds without a wrong token after which the count starts anew.",
    )
    max_addresses: int = Field(
        65_536,
        gt=0,
        description="Addresses remembered in memory for their wrong tokens; the oldest give way.",
    )
    bans_file: Path = Field(
        Path("var/bans.json"), description="Where bans outlive a restart, unless Redis keeps them."
    )
    redis_url: pydantic.SecretStr | None = Field(
        None,
        description="Redis that several services share failures, bans and rates in, such as "
        "redis://:PASSWORD@localhost:6379/0; memory if unset.",
    )
    redis_timeout_s: float = Field(
        0.05, gt=0, le=1, description="Seconds to wait for Redis before going on without it."
    )
    trusted_proxies: tuple[str, ...] = Field(
        (), description="Networks (CIDR) whose forwarding header is believed."
    )
    forwarding_header: Literal["X-Forwarded-For", "Forwarded"] = Field(
        "X-Forwarded-For", description="The one header in which those proxies name the client."
    )
    audit_log: Path | None = Field(
        None, description="File for the log of authentication events, as JSON lines; the common log if unset."
    )

    @pydantic.model_validator(mode="after")
    def _are_different_files(self) -> "AuthSettings":
        files = [self.tokens_file, self.bans_file, *([self.audit_log] if self.audit_log else [])]
        if len({os.path.realpath(file) for file in files}) < len(files):
            raise ValueError("tokens_file, bans_file and audit_log must be different files")
        return self

    @pydantic.field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network, strict=False)
        return value


class LimitSettings(Section):
    """What one client may take."""

    token_rate: str | None = Field(
        None,
        description="Requests a token may make, such as 10/s, 600/m or 1000/h; its own rate wins.",
    )
    token_burst: int | None = Field(
        None, gt=0, description="Of these, how many at once; as many as in a second (at least 1) if unset."
    )
    token_concurrency: int | None = Field(
        None, gt=0, description="Requests a token may have open at once, unless it has a limit of its own."
    )
    address_rate: str | None = Field(
        None, description="Requests an address may make, whatever the token; 10/s is usual."
    )
    address_burst: int | None = Field(None, gt=0, description="Of these, how many at once; 25 is usual.")
    max_connections: int = Field(
        2048, gt=0, description="Open connections; for one more, the idle one that waits longest is closed."
    )
    max_header_bytes: int = Field(
        32 * 2**10, ge=1024, description="Request line and headers together; more is answered 431."
    )
    header_timeout_s: float = Field(
        10.0, gt=0, description="Seconds a request's headers may take, and a TLS handshake."
    )
    body_timeout_s: float = Field(
        10.0, gt=0, description="Seconds a body may take, beyond what body_bytes_per_s gives it."
    )
    body_bytes_per_s: int = Field(
        16 * 2**10, gt=0, description="Least speed of a body: each so many bytes give it another second."
    )
    send_timeout_s: float = Field(
        20.0, gt=0, description="Seconds in which a client must take some of an answer that waits for it."
    )
    max_buffered_bytes: int = Field(
        512 * 2**20, gt=0, description="Bytes of all bodies at once; a body beyond is answered 503."
    )
    max_json_depth: int = Field(64, gt=0, description="Depth of a body's JSON.")
    max_json_values: int = Field(
        100_000, gt=0, description="Values in a body's JSON, strings of any length counting as one."
    )

    @pydantic.field_validator("token_rate", "address_rate")
    @classmethod
    def _are_rates(cls, value: str | None) -> str | None:
        if value is not None:
            parse_rate(value)
        return value


class TLSSettings(Section):
    """HTTPS; without a certificate, plain HTTP."""

    certificate: Path | None = Field(None, description="PEM file of the certificate with its chain.")
    key: Path | None = Field(None, description="PEM file of its private key.")
    key_password: pydantic.SecretStr | None = Field(None, description="Password of the key, if it has one.")
    client_ca: Path | None = Field(
        None,
        description="PEM file of the authorities that client certificates must be of; none if unset.",
    )

    @pydantic.model_validator(mode="after")
    def _has_both(self) -> "TLSSettings":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("tls.certificate and tls.key must be given together")
        if self.certificate is None and (self.client_ca or self.key_password):
            raise ValueError("tls.client_ca and tls.key_password need tls.certificate and tls.key")
        return self


class ImageSettings(Section):
    """What pictures the service takes; a model's own limits hold as well."""

    max_width: int = Field(1024, gt=0, le=8192, description="Widest picture, in pixels.")
    max_height: int = Field(1024, gt=0, le=8192, description="Highest picture, in pixels.")
    max_images: int = Field(8, gt=0, le=64, description="Pictures in one request.")
    max_bytes: int = Field(10 * 2**20, gt=0, description="Size of one picture's file.")
    resize: Literal["refuse", "fit"] = Field(
        "refuse", description="What becomes of a larger picture; fit makes it smaller, keeping its shape."
    )
    max_source_pixels: int = Field(
        40_000_000, gt=0, le=200_000_000, description="With fit: the most pixels a picture may have before."
    )
    max_open: int = Field(
        128, gt=0, description="Pictures of all open requests, decoded: about 3 MiB each; others wait."
    )
    workers: int = Field(2, gt=0, le=64, description="Pictures decoded at once; others wait.")
    remote_hosts: tuple[str, ...] = Field(
        (), description="Hosts that pictures may be fetched from by URL (https only); none if empty."
    )
    remote_timeout_s: float = Field(5.0, gt=0, le=60, description="Seconds such a fetch may take.")

    @pydantic.model_validator(mode="after")
    def _has_room_for_a_request(self) -> "ImageSettings":
        if self.max_open < self.max_images:
            raise ValueError("images.max_open must be at least images.max_images")
        return self


class ModelSettings(Section):
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
        True,
        description="Keep the KV cache of prompts for prompts that begin alike; not in reproducible mode.",
    )
    prompt_lookup: int | None = Field(
        None,
        gt=0,
        le=16,
        description="Tokens guessed in each step from prompt and answer, such as 5; none if unset.",
    )
    reproducible: bool = Field(
        False, description="Same request and seed, same text, at any load; slower, CPU only."
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
    tuning: bool = Field(True, description="Use what `tiber-serve tune` found for this machine, if it did.")
    tuning_file: Path | None = Field(
        None, description="Where that is kept, if not beside the model (what `tune --output` wrote)."
    )

    @pydantic.model_validator(mode="after")
    def _can_look_up(self) -> "ModelSettings":
        if self.prompt_lookup and self.prefix_caching:
            raise ValueError("prompt_lookup needs prefix_caching = false: the cache would keep wrong guesses")
        if self.prompt_lookup and self.reproducible:
            raise ValueError("prompt_lookup can't go with reproducible = true: guesses change a step's shape")
        if self.prompt_lookup and self.backend != "openvino":
            raise ValueError(f"prompt_lookup is for the backend openvino, not {self.backend}")
        return self
