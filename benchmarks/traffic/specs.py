"""Reads what the command line says in short, such as `fixed:in=128,out=64`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from service.errors import ConfigError

_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a name may be followed by: each part's value unless given, and an example to learn from."""

    defaults: Mapping[str, float]
    example: str


def read_spec(text: str, forms: Mapping[str, Form], what: str) -> tuple[str, dict[str, float]]:
    """Read `name` or `name:part=number,...`.

    Raises:
        ConfigError: there is no such name or part, one is there twice, or a value is not a number above 0.
    """
    name, _, rest = text.strip().partition(":")
    form = forms.get(name)
    if form is None:
        examples = ", ".join(one.example for one in forms.values())
        raise ConfigError(f"there is no {what} {name!r}; there are: {examples}")
    values = dict(form.defaults)
    parts = [part.partition("=") for part in rest.split(",") if part]
    for number, (key, _, value) in enumerate(parts):
        if key not in values:
            allowed = ", ".join(values) or "nothing"
            raise ConfigError(f"the {what} {name!r} takes {allowed}, not {key!r}: for example {form.example}")
        if key in (earlier for earlier, _, _ in parts[:number]):
            raise ConfigError(f"the {what} {name!r} has {key} twice")
        values[key] = read_number(value, f"{what} {name!r}: {key}")
    return name, values


def read_number(text: str, what: str) -> float:
    """Read a number above 0. Raises: ConfigError for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"{what} is a number above 0, not {text!r}")
    return value


def whole(value: float, what: str) -> int:
    """A number without a fraction. Raises: ConfigError for any other."""
    if value != int(value):
        raise ConfigError(f"{what} is a whole number, not {value:g}")
    return int(value)


def read_duration_s(text: str, what: str) -> float:
    """Read `500ms`, `2s`, `5m`, `1h`; a number alone means seconds. Raises: ConfigError for anything else."""
    number = text.strip().rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text.strip()[len(number) :] or "s"
    if unit not in _UNITS_S:
        raise ConfigError(f"{what} is a time such as 500ms, 2s or 5m, not {text!r}")
    return read_number(number, f"{what}, a time such as 500ms or 2s,") * _UNITS_S[unit]
