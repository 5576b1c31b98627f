"""Reads and writes a model folder's manifest.json: all that export and service share."""

import shlex
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from service.errors import ModelFolderError

FILE_NAME = "manifest.json"
SCHEMA_VERSION = 1
TOKENIZER_FILE = "tokenizer.json"

Task = Literal["text-generation", "image-text-to-text"]
WeightFormat = Literal["int8", "int8-sym", "int4", "fp16", "bf16", "fp8"]
Device = Literal["CPU", "GPU", "GAUDI"]
EngineName = Literal["openvino", "vllm"]
ToolFormat = Literal["hermes", "llama3", "mistral"]


# Options and environment variables: they are shown as part of a command.
Setting = Annotated[str, pydantic.StringConstraints(pattern=r"^(--[a-z0-9][a-z0-9-]*|[A-Z][A-Z0-9_]*)$")]


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class Source(_Model):
    """Where the weights came from, precisely enough to fetch the same again."""

    kind: Literal["package", "gguf", "folder", "hub"]
    identity: str = pydantic.Field(description="package==version, file name, folder name or hub id")
    sha256: str | None = None
    revision: str | None = None


class ImageLimits(_Model):
    """What a vision model takes, and what an image costs it.

    `tokens_per_image` is the most tokens that one image of `max_width` x `max_height` pixels takes in the
    prompt, marks around it included. `max_aspect_ratio` is how many times longer than the other an
    image's side may be. `marks` are the strings that stand for an image in the model's
    own prompts: a user's text must not hold one. `engine_appends` is what the engine puts behind each
    image of its own accord.
    """

    max_images: int = pydantic.Field(gt=0)
    max_width: int = pydantic.Field(gt=0)
    max_height: int = pydantic.Field(gt=0)
    tokens_per_image: int = pydantic.Field(gt=0)
    max_aspect_ratio: float | None = pydantic.Field(default=None, ge=1)
    marks: list[str]
    engine_appends: str = ""


class Recipe(_Model):
    """How the weights were compressed, as far as the weight format leaves it open.

    `mode` is NNCF's name for the way most weights are held. `layers` counts the weights that the model
    really holds in each precision; `fallback_layers` names those in INT8 because no group size divides
    their channels. `hints` are engine properties that suit the device: nothing reads them by itself,
    an operator sets them as `properties`.
    """

    mode: str
    ratio: float = 1.0
    method: str = "none"
    calibration_sha256: str | None = None
    layers: dict[str, int] = {}
    fallback_layers: list[str] = []
    hints: dict[str, str] = {}


class Manifest(_Model):
    """What a model folder holds.

    `group_size` is None where weights are scaled per channel. `tool_format` is how the model writes
    tool calls, after its chat template; None where that knows no tools, or has a way of its own.
    `launch` holds options (with dashes) and environment variables (without) of an engine beside this service.
    """

    schema_version: Literal[1] = 1
    name: str
    source: Source
    task: Task
    architecture: str
    weight_format: WeightFormat
    group_size: int | None
    device: Device
    engine: EngineName = "openvino"
    launch: dict[Setting, str] = pydantic.Field(default={}, description="settings to start that engine with")
    hardware_note: str | None = pydantic.Field(default=None, description="what was not verified, and where")
    context_length: int = pydantic.Field(gt=0, description="tokens, prompt and answer together")
    eos_token_ids: list[int] = pydantic.Field(min_length=1)
    image_limits: ImageLimits | None = None
    tool_format: ToolFormat | None = None
    recipe: Recipe | None = pydantic.Field(default=None, description="for a person; no service needs it")
    tool_versions: dict[str, str]
    created_at: datetime

    def launch_line(self, folder: Path) -> str:
        """The shell command that starts an engine beside this service with the model in `folder`.

        Settings with dashes are options of the command, the others environment variables.
        """
        options = [f"{name} {shlex.quote(value)}" for name, value in self.launch.items() if name[0] == "-"]
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.launch.items() if name[0] != "-"]
        return " ".join([*variables, self.engine, "serve", shlex.quote(str(folder)), *options])


def read_manifest(folder: Path) -> Manifest:
    """Read and check `folder`/manifest.json.

    Raises:
        ModelFolderError: when the folder or the file is missing, or its content is not a manifest
            of this version; the message says what to do.
    """
    path = folder / FILE_NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = "no such folder" if not folder.is_dir() else f"no readable {FILE_NAME} in it"
        raise ModelFolderError(
            f"{folder} is not a converted model: {reason}. "
            "Convert one with: python export/convert.py SOURCE --output DIR"
        ) from error
    try:
        return Manifest.model_validate_json(content)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ModelFolderError(
            f"{path} is not a version {SCHEMA_VERSION} manifest ({field}: {first['msg']}). "
            "Convert the model again with: python export/convert.py SOURCE --force"
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `folder`/manifest.json, whole or not at all."""
    part = folder / f".{FILE_NAME}.part"
    part.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    part.replace(folder / FILE_NAME)
