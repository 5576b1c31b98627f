"""Decides when wrong tokens ban an address: pure rules, with the time passed in."""

from dataclasses import dataclass

from service.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """What is remembered of one address: a count of wrong tokens, or the ban they led to.

    `until` is when it is forgotten, in seconds of the caller's clock. A ban of 300 s is over once
    300 s have passed; a failure exactly `reset_s` after the one before is still "within" it.
    """

    count: int
    is_ban: bool
    until: float

    def is_live(self, now: float) -> bool:
        """Whether this still counts at `now`."""
        return now < self.until if self.is_ban else now <= self.until

    def ban_left_s(self, now: float) -> float:
        """Seconds left of the ban; 0 when there is none."""
        return max(0.0, self.until - now) if self.is_ban else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BanPolicy:
    """`max_failures` wrong tokens, each within `reset_s` of the one before, ban for `ban_s`.

    Raises:
        ConfigError: when a number leaves nothing to decide.
    """

    max_failures: int = 5
    ban_s: float = 300.0
    reset_s: float = 1800.0

    def __post_init__(self) -> None:
        if self.max_failures < 1:
            raise ConfigError(f"max_failures must be at least 1, not {self.max_failures}")
        for name, value in (("ban_s", self.ban_s), ("reset_s", self.reset_s)):
            if not value > 0:
                raise ConfigError(f"{name} must be more than 0 seconds, not {value}")

    def after_failure(self, past: Failures | None, now: float) -> Failures:
        """What to remember once a wrong token came at `now`; a running ban is not prolonged."""
        live = past if past is not None and past.is_live(now) else None
        if live is not None and live.is_ban:
            return live
        count = 1 + (live.count if live is not None else 0)
        if count >= self.max_failures:
            return Failures(count=count, is_ban=True, until=now + self.ban_s)
        return Failures(count=count, is_ban=False, until=now + self.reset_s)
