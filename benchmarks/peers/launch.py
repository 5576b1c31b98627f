"""How a peer's server is started; pure."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A command with what it needs in the environment; `settings` says in words what was chosen, and why."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    settings: str

    @property
    def line(self) -> str:
        """The line for a shell."""
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return " ".join([*variables, shlex.join(self.command)])
