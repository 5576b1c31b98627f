"""Lengths of time as a person writes them."""

import re
from datetime import timedelta

from service.errors import ConfigError

_DURATION = re.compile(r"([0-9]{1,9})([smhdw])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LONGEST_S = 36_500 * _UNIT_S["d"]


def parse_duration(text: str, *, option: str) -> timedelta:
    """Read `30s`, `5m`, `24h`, `90d` or `2w`; at most a hundred years.

    Raises:
        ConfigError: naming `option`, and saying what is allowed.
    """
    found = _DURATION.fullmatch(text.strip())
    length_s = int(found[1]) * _UNIT_S[found[2]] if found else None
    if length_s is None or length_s > _LONGEST_S:
        raise ConfigError(
            f"{option} {text!r} is no length of time: write a whole number and s, m, h, d or w, such as 90d"
        )
    return timedelta(seconds=length_s)
