"""Builds what decides who may come in."""

import time

from service.auth.guard import AuthGuard
from service.auth.memory import MemoryFailureStore
from service.auth.policy import BanPolicy
from service.auth.tokens import TokenStore
from service.settings import AuthSettings
from service.telemetry.metrics import Metrics


def build_token_store(auth: AuthSettings, extra_token: str | None = None) -> TokenStore:
    """The stored tokens, and one from the environment beside them."""
    return TokenStore(auth.tokens_file, environment_token=extra_token)


def build_guard(auth: AuthSettings, extra_token: str | None, metrics: Metrics) -> AuthGuard:
    """The guard at the door, with its stores."""
    policy = BanPolicy(max_failures=auth.max_failures, ban_s=auth.ban_s, reset_s=auth.reset_s)
    return AuthGuard(
        tokens=build_token_store(auth, extra_token),
        failures=MemoryFailureStore(),
        policy=policy,
        trusted_proxies=auth.trusted_proxies,
        clock=time.monotonic,
        observer=metrics.authentication,
    )
