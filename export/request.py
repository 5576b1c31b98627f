"""What one conversion is asked to do, in terms free of the command line."""

from dataclasses import dataclass
from pathlib import Path

from export.recipe import Method, Recipe
from export.recipes import choose_recipe
from service.manifest import Device, ImageLimits, Manifest, Task, ToolFormat, WeightFormat
from service.manifest import Recipe as RecipeRecord
from service.manifest import Source as SourceRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One conversion: `name` is what the service will call the model; no `task` means the model's own.

    `jobs` is how many files are downloaded at once; what computes is bounded for the whole process.
    No `method` means the recipe's, no `calibration` the text that comes with the project.
    With `verify` the model is compared with its source before it is published; with `accept` it is
    published although it is beyond its limits.
    """

    name: str
    output: Path
    weights: WeightFormat
    device: Device
    force: bool
    task: Task | None = None
    offline: bool = False
    allow_pickle: bool = False
    jobs: int = 1
    method: Method | None = None
    calibration: Path | None = None

    def recipe_for(self, architecture: str | None, model_id: str | None) -> Recipe:
        """The recipe for a model of that architecture and id.

        Raises:
            ConfigError: when the device has none for these weights.
        """
        return choose_recipe(
            device=self.device,
            weights=self.weights,
            architecture=architecture,
            model_id=model_id,
            method=self.method,
            calibration=self.calibration,
        )

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
    recipe: RecipeRecord | None = None
    hardware_note: str | None = None

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
            recipe=self.recipe,
            hardware_note=self.hardware_note,
            tool_versions=tool_versions,
            created_at=datetime.now(UTC),
        )
