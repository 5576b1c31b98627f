"""What one conversion does to the weights, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from service.manifest import Device, EngineName, WeightFormat

Mode = Literal["int8_asym", "int8_sym", "int4_asym", "int4_sym"]
"""NNCF's names of how weights are held; None in a recipe means: as they are, in 16 bits."""

Method = Literal["none", "awq-data-free", "scale-estimation", "awq", "awq+scale-estimation"]
"""NNCF's ways to lose less in INT4. Its GPTQ is left out: NNCF 3.4.0 runs it on one text after another
without clearing the model's KV cache in between, and the second text fails."""

CALIBRATED: tuple[Method, ...] = ("scale-estimation", "awq", "awq+scale-estimation")
BUNDLED_CALIBRATION = Path(__file__).with_name("calibration.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why one choice was made, and where that is known from; `source` is a key of recipes.toml's sources."""

    choice: str
    because: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One conversion's choices.

    `mode` is None where weights stay in 16 bits. `group_size` is the largest that may be chosen, for
    INT4. `backup` holds the embedding, the last layer and what INT4 can't: `ratio` is the part of the
    other layers that is INT4. `hints` are engine properties. With `unpacked_on_device` the weights
    take 16 bits each in the device's memory.
    """

    device: Device
    weights: WeightFormat
    engine: EngineName = "openvino"
    mode: Mode | None = None
    group_size: int = 128
    ratio: float = 1.0
    backup: Mode = "int8_asym"
    method: Method = "none"
    calibration: Path = BUNDLED_CALIBRATION
    hints: Mapping[str, str] = field(default_factory=dict)
    unpacked_on_device: bool = False
    hardware_note: str | None = None
    reasons: tuple[Reason, ...] = ()

    @property
    def is_int4(self) -> bool:
        """Whether most weights are held in groups of 4-bit numbers."""
        return self.mode in ("int4_asym", "int4_sym")

    @property
    def is_calibrated(self) -> bool:
        """Whether the method watches the model read texts."""
        return self.method in CALIBRATED

    def summary(self) -> str:
        """One line for a person."""
        if self.weights == "fp8":
            return f"{self.weights} for {self.device}: FP8, scaled as the numbers come"
        if self.mode is None:
            return f"{self.weights} for {self.device}: weights as they are, 16 bits each"
        kind = "asymmetric" if self.mode.endswith("asym") else "symmetric"
        if not self.is_int4:
            return f"{self.weights} for {self.device}: INT8 {kind}, one scale per channel"
        share = "" if self.ratio == 1 else f" on {self.ratio:.0%} of the layers"
        method = "" if self.method == "none" else f", {self.method}"
        rest = self.backup.upper().replace("_", " ") if self.engine == "openvino" else "as they are"
        return (
            f"{self.weights} for {self.device}: INT4 {kind} in groups of up to {self.group_size}{share}"
            f"{method}; embedding and last layer {rest}"
        )
