"""Decides which server gets which token."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from service.errors import ConfigError

VARIABLE = "VALID_TOKEN"
"""Where this project's server and its clients find a token without being told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A token that was asked to be sent, and one that only servers on this machine get."""

    asked_for: str | None = field(default=None, repr=False)
    of_this_machine: str | None = field(default=None, repr=False)

    @classmethod
    def read(cls, token: str | None, token_env: str | None, environment: Mapping[str, str]) -> "Credentials":
        """Take `--token` and `--token-env`. Raises: ConfigError for both, or a variable that is not set."""
        if token is not None and token_env is not None:
            raise ConfigError("--token and --token-env are two ways to say one thing: leave one out")
        if token_env is not None:
            token = environment.get(token_env)
            if not token:
                raise ConfigError(f"--token-env {token_env}: that environment variable is not set")
        return cls(asked_for=token, of_this_machine=environment.get(VARIABLE))

    @property
    def are_asked_for(self) -> bool:
        """Whether the command line said which token."""
        return self.asked_for is not None

    def token_for(self, url: str) -> str | None:
        """The token for the server at `url`; none that was not asked for leaves this machine."""
        if self.asked_for is not None:
            return self.asked_for
        return self.of_this_machine if _is_this_machine(urlsplit(url).hostname or "") else None

    def advice(self, url: str) -> str | None:
        """What to tell whoever expects `VARIABLE` to be sent to `url`."""
        if self.of_this_machine is None or self.token_for(url) is not None:
            return None
        return f"{VARIABLE} is not sent to another machine: say --token-env {VARIABLE} to send it to {url}"


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
