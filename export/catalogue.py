"""Finds models in the catalogue, catalogue.toml."""

import difflib
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pydantic

from export.shape import Shape
from service.manifest import Task

FILE = Path(__file__).with_name("catalogue.toml")
PLANNED_TOTAL = 8_192  # tokens of a request, prompt and answer: what memory is computed for
PLANNED_CONCURRENCY = 8


class ShapeRow(pydantic.BaseModel):
    """A model's numbers as the file writes them; see Shape."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    parameters: int | None = None
    layers: int | None = None
    hidden: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    head_size: int | None = None
    intermediate: int | None = None
    vocabulary: int | None = None
    is_tied: bool | None = None
    context: int | None = None


class ModelRow(pydantic.BaseModel):
    """One model as the file writes it; see Entry."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    name: str
    hub_id: str | None = None
    package: str | None = None
    revision: str | None = pydantic.Field(default=None, pattern="^[0-9a-f]{40}$")
    licence: str
    gated: bool | None = None
    task: Task
    architecture: str
    shape: ShapeRow = ShapeRow()
    max_input: int | None = None
    max_total: int | None = None
    concurrency: int = PLANNED_CONCURRENCY
    limits_source: str | None = None
    not_served: str | None = None
    instead: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One model of the catalogue.

    It comes from `hub_id` at `revision`, or from a Python `package`; `is_gated` says whether its owner
    must consent first; None where it is not known. `max_input`, `max_total` (tokens) and
    `concurrency` are what its memory is computed for. `not_served` is why it can't be, and
    `instead` what is offered.
    """

    name: str
    hub_id: str | None
    package: str | None
    revision: str | None
    licence: str
    is_gated: bool | None
    task: Task
    architecture: str
    shape: Shape = field(default_factory=Shape)
    max_input: int | None
    max_total: int | None
    concurrency: int
    limits_source: str | None
    not_served: str | None
    instead: str | None
    note: str | None


@cache
def entries() -> tuple[Entry, ...]:
    """The whole catalogue, in the file's order, read once."""
    rows = tomllib.loads(FILE.read_text(encoding="utf-8"))["model"]
    return tuple(_entry(ModelRow.model_validate(row)) for row in rows)


def find(text: str) -> Entry | None:
    """The entry of that name, in any case, or of that hub id."""
    wanted = text.lower()
    return next((entry for entry in entries() if wanted in (entry.name, (entry.hub_id or "").lower())), None)


def close_names(text: str) -> list[str]:
    """Names in the catalogue that `text` may have been meant for, the best first."""
    return difflib.get_close_matches(text.lower(), [entry.name for entry in entries()], n=3, cutoff=0.6)


def _entry(row: ModelRow) -> Entry:
    context = row.shape.context
    max_total = row.max_total or (None if context is None else min(context, PLANNED_TOTAL))
    return Entry(
        name=row.name,
        hub_id=row.hub_id,
        package=row.package,
        revision=row.revision,
        licence=row.licence,
        is_gated=row.gated,
        task=row.task,
        architecture=row.architecture,
        shape=Shape(**row.shape.model_dump()),
        max_input=row.max_input or (None if max_total is None else max_total * 3 // 4),
        max_total=max_total,
        concurrency=row.concurrency,
        limits_source=row.limits_source,
        not_served=row.not_served,
        instead=row.instead,
        note=row.note,
    )
