"""What one conversion is asked to do, in terms free of the command line."""

from dataclasses import dataclass
from pathlib import Path

from service.manifest import Device, ImageLimits, Manifest, Task, ToolFormat, WeightFormat
from service.manifest import Source as SourceRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One conversion: `name` is what the service will call the model; no `task` means the model's own.

    With `verify` the model is compared with its source before it is published; with `accept` it is
    published although it is beyond its limits.
    """

    name: str
    output: Path
    weights: WeightFormat
    device: Device
    force: bool
    task: Task | None = None
    verify: bool = True
    accept: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What a converter learned about the model that it wrote."""

    source: SourceRecord
    task: Task
    architecture: str
    group_size: int | None
    context_length: int
    eos_token_ids: tuple[int, ...]
    image_limits: ImageLimits | None = None

    def manifest(
        self, request: Request, tool_versions: dict[str, str], tool_format: ToolFormat | None
    ) -> Manifest:
        """Join what was asked with what was found."""
        from datetime import UTC, datetime

        return Manifest(
            name=request.name,
            source=self.source,
            task=self.task,
            architecture=self.architecture,
            weight_format=request.weights,
            group_size=self.group_size,
            device=request.device,
            context_length=self.context_length,
            eos_token_ids=list(self.eos_token_ids),
            image_limits=self.image_limits,
            tool_format=tool_format,
            tool_versions=tool_versions,
            created_at=datetime.now(UTC),
        )
