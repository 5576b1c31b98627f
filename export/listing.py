"""Lists the catalogue: what there is, and what fits a device's memory."""

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from export.catalogue import Entry, entries
from export.memory import FORMULA, ServingNeed, serving_need
from export.recipe import Recipe
from export.recipes import choose_recipe, draft_model, recommended_weights
from service.errors import ConfigError
from service.manifest import Device, WeightFormat

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]i?)?b?", re.IGNORECASE)
PIPE_COLUMNS = 200  # wide enough for every row on one line
HEADINGS = ("name", "hub id or package", "task", "parameters", "context", "weights", "memory", "licence")
NUMBERS = ("parameters", "context", "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One model of the catalogue for one device; no `need` where its numbers are not known."""

    entry: Entry
    recipe: Recipe
    need: ServingNeed | None

    def fits(self, memory: int) -> bool:
        """Whether serving it is known to take no more than `memory` bytes."""
        return self.entry.not_served is None and self.need is not None and self.need.total <= memory


def offers(device: Device, weights: WeightFormat | None, memory: int | None) -> list[Offer]:
    """Every model for `device`, in the recommended format unless `weights` says another.

    Raises:
        ConfigError: when the device has no recipe for `weights`.
    """
    every = [_offer(entry, device, weights or recommended_weights(device)) for entry in entries()]
    return every if memory is None else [offer for offer in every if offer.fits(memory)]


def parse_memory(text: str) -> int:
    """Bytes of a size such as 32GB, 24GiB or 800m.

    Raises:
        ConfigError: when it is none.
    """
    match = SIZE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"--memory {text}: write a size such as 32GB or 24GiB")
    return int(float(match[1]) * UNITS[(match[2] or "").lower()])


def print_offers(found: list[Offer], device: Device, memory: int | None, console: Console) -> None:
    """A table, and the formula behind its last column."""
    table = Table(title=_title(device, memory), title_justify="left", box=None, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=True, justify="right" if heading in NUMBERS else "left")
    for offer in found:
        table.add_row(*_row(offer))
    if not console.is_terminal:
        console.width = PIPE_COLUMNS
    console.print(table, highlight=False)
    for offer in found:
        if offer.entry.not_served:
            _print(f"{offer.entry.name}: {offer.entry.not_served}. Instead: {offer.entry.instead}", console)
    note = f"Memory: to serve at the limits that --list --json tells. {FORMULA}."
    hardware = found[0].recipe.hardware_note if found else "No model of the catalogue fits."
    _print(f"{note} {hardware}" if hardware else note, console)


def _print(text: str, console: Console) -> None:
    console.print(f"\n{text}", highlight=False, soft_wrap=True)


def as_json(found: list[Offer]) -> str:
    """The same for programs: one JSON array; null where something is not known."""
    return json.dumps([_record(offer) for offer in found], indent=2) + "\n"


def _offer(entry: Entry, device: Device, weights: WeightFormat) -> Offer:
    recipe = choose_recipe(
        device=device, weights=weights, architecture=entry.architecture, model_id=entry.hub_id
    )
    need = None
    if entry.max_total is not None and entry.not_served is None:
        need = serving_need(entry.shape, recipe, max_total=entry.max_total, concurrency=entry.concurrency)
    return Offer(entry=entry, recipe=recipe, need=need)


def _title(device: Device, memory: int | None) -> str:
    fitting = "" if memory is None else f" that fit {memory / 10**9:.1f} GB"
    return f"Models for {device}{fitting}: python export/convert.py NAME --device {device.lower()}"


def _row(offer: Offer) -> tuple[str, ...]:
    entry = offer.entry
    gate = {True: ", gated", False: "", None: ", gate unknown"}[entry.is_gated]
    return (
        entry.name,
        entry.hub_id or entry.package or "unknown",
        entry.task,
        _billions(entry.shape.parameters),
        _known(entry.shape.context),
        "not served" if entry.not_served else offer.recipe.weights,
        "unknown" if offer.need is None else f"{offer.need.total / 10**9:.1f} GB",
        f"{entry.licence}{gate}",
    )


def _record(offer: Offer) -> dict[str, Any]:
    draft = draft_model(offer.entry.hub_id)
    return asdict(offer.entry) | {
        "device": offer.recipe.device,
        "weights": offer.recipe.weights,
        "recipe": offer.recipe.summary(),
        "hardware_note": offer.recipe.hardware_note,
        "draft_model": draft.draft if draft else None,
        "memory_bytes": offer.need.total if offer.need else None,
        "weight_bytes": offer.need.weights if offer.need else None,
        "cache_bytes_per_token": offer.need.cache_per_token if offer.need else None,
    }


def _billions(count: int | None) -> str:
    if count is None:
        return "unknown"
    return f"{count / 10**9:.1f}B" if count >= 10**9 else f"{count // 10**6}M"


def _known(value: int | None) -> str:
    return "unknown" if value is None else str(value)
