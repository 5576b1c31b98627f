"""Builds what decides who may come in."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from service.auth.guard import AccessLimits, AuthGuard
from service.auth.observer import AuthObservers, StoreObservers
from service.auth.policy import BanPolicy
from service.auth.tokens import TokenStore
from service.bootstrap.stores import build_stores
from service.errors import ConfigError
from service.rate import RateLimit, parse_rate
from service.settings import AuthSettings, LimitSettings
from service.telemetry.audit import AuditLog
from service.telemetry.audit_file import AuditFile, AuditSink, CommonLog
from service.telemetry.audit_flood import HourlyBudget, Repeats
from service.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The guard, and what has to run for as long as it stands there."""

    guard: AuthGuard
    background: tuple[Callable[[], Awaitable[None]], ...]


def build_token_store(auth: AuthSettings, extra_token: str | None = None) -> TokenStore:
    """The stored tokens, and one from the environment beside them."""
    return TokenStore(auth.tokens_file, environment_token=extra_token)


def build_door(auth: AuthSettings, limits: LimitSettings, extra_token: str | None, metrics: Metrics) -> Door:
    """The guard at the door, with its stores and those who are told what it decides.

    Raises:
        ConfigError: a file that it needs can't be used.
    """
    audit = _build_audit(auth)
    stores = build_stores(auth, StoreObservers((metrics.auth_store, audit)), time.time)
    tokens = build_token_store(auth, extra_token)
    guard = AuthGuard(
        tokens=tokens,
        failures=stores.failures,
        policy=BanPolicy(max_failures=auth.max_failures, ban_s=auth.ban_s, reset_s=auth.reset_s),
        rates=stores.rates,
        limits=_access_limits(limits),
        trusted_proxies=auth.trusted_proxies,
        forwarding_header=auth.forwarding_header,
        clock=time.time,
        observer=AuthObservers((metrics.authentication, audit)),
    )
    return Door(guard=guard, background=(tokens.run, *stores.background, audit.run))


def record_event(auth: AuthSettings, event: str, **fields: str) -> None:
    """Write what a command changed to the audit log, where it is a file; never a token's text.

    Raises:
        ConfigError: the change was made, but can't be written there.
    """
    if auth.audit_log is None:
        return
    try:
        AuditFile(auth.audit_log, utc_now=_utc_now).append(event, fields)
    except OSError as error:
        raise ConfigError(
            f"it was done, but the audit log {auth.audit_log} can't be written: {error.strerror}"
        ) from error


def _build_audit(auth: AuthSettings) -> AuditLog:
    sink: AuditSink = CommonLog()
    if auth.audit_log is not None:
        sink = file = AuditFile(auth.audit_log, utc_now=_utc_now)
        file.check()
    return AuditLog(sink, clock=time.monotonic, repeats=Repeats(), budget=HourlyBudget())


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _access_limits(limits: LimitSettings) -> AccessLimits:
    return AccessLimits(
        address_rate=_rate("address", limits.address_rate, limits.address_burst),
        token_rate=_rate("token", limits.token_rate, limits.token_burst),
        token_concurrency=limits.token_concurrency,
    )


def _rate(whose: str, text: str | None, burst: int | None) -> RateLimit | None:
    if text is None:
        if burst is not None:
            raise ConfigError(f"limits.{whose}_burst needs limits.{whose}_rate")
        return None
    try:
        return parse_rate(text, burst)
    except ValueError as error:
        raise ConfigError(f"limits.{whose}_rate and limits.{whose}_burst: {error}") from error
