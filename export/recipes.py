"""Chooses the recipe of a conversion from the tables in recipes.toml."""

import tomllib
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal

import pydantic

from export.recipe import CALIBRATED, Method, Mode, Reason, Recipe
from service.errors import ConfigError
from service.manifest import Device, EngineName, WeightFormat

FILE = Path(__file__).with_name("recipes.toml")


class _Row(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class ReasonRow(_Row):
    """Why a choice was made; `source` is a key of the sources."""

    choice: str
    because: str
    source: str


class DeviceRow(_Row):
    """What holds for all of a device's recipes."""

    recommended: WeightFormat
    hardware_note: str | None = None


class RecipeRow(_Row):
    """One device and weight format."""

    device: Device
    weights: WeightFormat
    engine: EngineName = "openvino"
    mode: Mode | None = None
    group_size: Literal[128, 64, 32, 16] = 128
    ratio: float = pydantic.Field(default=1.0, gt=0, le=1)
    backup: Mode = "int8_asym"
    method: Method = "none"
    hints: dict[str, str] = {}
    unpacked_on_device: bool = False
    reasons: list[ReasonRow]


class OverrideRow(_Row):
    """What some architectures or models have otherwise; fields left out stay as they are."""

    architectures: list[str] = []
    models: list[str] = []
    weights: list[WeightFormat]
    devices: list[Device] = ["CPU", "GPU"]
    mode: Mode | None = None
    group_size: Literal[128, 64, 32, 16] | None = None
    ratio: float | None = pydantic.Field(default=None, gt=0, le=1)
    method: Method | None = None
    reasons: list[ReasonRow]


class RefusalRow(_Row):
    """A weight format that is not offered for a device."""

    device: Device
    weights: WeightFormat
    because: str
    instead: WeightFormat


class DraftRow(_Row):
    """A small model that may guess for bigger ones."""

    models: list[str]
    draft: str
    because: str


class Tables(_Row):
    """The whole of recipes.toml."""

    sources: dict[str, str]
    devices: dict[Device, DeviceRow]
    recipe: list[RecipeRow]
    refusal: list[RefusalRow]
    override: list[OverrideRow]
    draft: list[DraftRow]


@cache
def tables() -> Tables:
    """The tables, read once."""
    return Tables.model_validate(tomllib.loads(FILE.read_text(encoding="utf-8")))


def recommended_weights(device: Device) -> WeightFormat:
    """The weight format that a device gets unless another is asked for."""
    return tables().devices[device].recommended


def choose_recipe(
    *,
    device: Device,
    weights: WeightFormat,
    architecture: str | None = None,
    model_id: str | None = None,
    method: Method | None = None,
    calibration: Path | None = None,
) -> Recipe:
    """What is to be done to a model; `architecture` and hub id or folder name as far as they are known.

    Raises:
        ConfigError: when the format is not offered for the device, or the method fits nothing.
    """
    for refusal in tables().refusal:
        if (refusal.device, refusal.weights) == (device, weights):
            raise ConfigError(
                f"--weights {weights} is not offered for {device}: {refusal.because}; "
                f"use --weights {refusal.instead}"
            )
    rows = [row for row in tables().recipe if (row.device, row.weights) == (device, weights)]
    if not rows:
        offered = ", ".join(row.weights for row in tables().recipe if row.device == device)
        raise ConfigError(f"--weights {weights} is not offered for {device}: use one of {offered}")
    return _with_wishes(_overridden(rows[0], architecture, model_id), method, calibration)


def draft_model(model_id: str | None) -> DraftRow | None:
    """The draft model that fits `model_id`; None where none is known."""
    return next((row for row in tables().draft if _names(row.models, model_id)), None)


def _overridden(row: RecipeRow, architecture: str | None, model_id: str | None) -> Recipe:
    fields = row.model_dump(exclude={"reasons"})
    reasons = list(row.reasons)
    for override in _overrides(row, architecture, model_id):
        named = {"mode", "group_size", "ratio", "method"}
        fields |= override.model_dump(include=named, exclude_none=True)
        reasons += override.reasons
    return Recipe(
        **fields,
        hardware_note=tables().devices[row.device].hardware_note,
        reasons=tuple(Reason(**reason.model_dump()) for reason in reasons),
    )


def _overrides(row: RecipeRow, architecture: str | None, model_id: str | None) -> Iterable[OverrideRow]:
    """Those for the architecture first: what is known of the model itself is stronger."""
    fitting = [
        override
        for override in tables().override
        if row.device in override.devices and row.weights in override.weights
    ]
    yield from (override for override in fitting if architecture in override.architectures)
    yield from (override for override in fitting if _names(override.models, model_id))


def _names(models: list[str], model_id: str | None) -> bool:
    """Whether `model_id` is one of the hub ids, or a folder's name such as one of them ends in."""
    wanted = (model_id or "").lower()
    known = [name.lower() for name in models]
    return wanted in known or wanted in (name.rpartition("/")[2] for name in known)


def _with_wishes(recipe: Recipe, method: Method | None, calibration: Path | None) -> Recipe:
    if method not in (None, "none") and not recipe.is_int4:
        raise ConfigError(f"--method {method} is for INT4: use it with --weights int4")
    if method not in (None, "none") and recipe.engine != "openvino":
        raise ConfigError(f"--method {method} is for OpenVINO: leave it out for {recipe.device}")
    chosen = replace(recipe, method=method) if method is not None else recipe
    if calibration is None:
        return chosen
    if not chosen.is_calibrated:
        raise ConfigError(
            f"--calibration needs a method that reads texts: add --method with one of {', '.join(CALIBRATED)}"
        )
    if not calibration.is_file():
        raise ConfigError(f"--calibration {calibration} does not exist: name a UTF-8 text file")
    return replace(chosen, calibration=calibration)
