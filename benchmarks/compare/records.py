"""Reads a comparison's record back."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from benchmarks.compare.results import CompareResults
from benchmarks.compare.settings import CompareSettings
from benchmarks.record import SCHEMA_VERSION
from service.errors import ConfigError

KIND = "compare"


class _Machine(BaseModel):
    model_config = ConfigDict(extra="ignore")
    cpu_model: str
    usable_cores: int


class CompareRecord(BaseModel):
    """As much of the record as tables and plots need."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    created_at: str
    environment: _Machine
    settings: CompareSettings
    results: CompareResults

    @property
    def caption(self) -> str:
        """When and where it was measured, in a line."""
        machine = self.environment
        return f"{self.created_at[:10]}, {machine.usable_cores} cores of {machine.cpu_model}"


def read_record(path: Path) -> CompareRecord:
    """Read a record. Raises: ConfigError when it is none of a comparison, or of another version."""
    try:
        return parse_record(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        reason = f"{error.error_count()} fields are wrong" if isinstance(error, ValidationError) else error
        raise ConfigError(f"{path} is no record of a comparison: {reason}") from error


def parse_record(record: Any) -> CompareRecord:  # noqa: ANN401 - any JSON
    """Check a record. Raises: ValueError when it is none of a comparison, or of another version."""
    is_ours = isinstance(record, dict) and record.get("kind") == KIND
    if not is_ours or record.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"kind {KIND!r} of version {SCHEMA_VERSION} is expected")
    return CompareRecord.model_validate(record)
