"""Finds out under whose license a source is, and which model on the hub it is."""

from dataclasses import dataclass
from pathlib import Path

from export.sources import DemoSource, FolderSource, GgufSource, HubSource, PackageSource, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a source says of itself; None is unknown, and stays so."""

    license_id: str | None = None
    base_model: str | None = None


def find_origin(source: Source) -> Origin:
    """Ask the hub for its models; read the card of a folder, the head of a GGUF file."""
    if isinstance(source, HubSource):
        return _from_hub(source)
    if isinstance(source, FolderSource):
        return _from_card(source.path / "README.md")
    if isinstance(source, GgufSource):
        return _from_gguf(source.path)
    language_model: PackageSource = source.language_model if isinstance(source, DemoSource) else source
    return Origin(license_id=language_model.license_id, base_model=language_model.base_model)


def _from_hub(source: HubSource) -> Origin:
    from huggingface_hub import HfApi

    card = HfApi().model_info(source.repo_id, revision=source.revision).card_data
    license_id = card.get("license") if card else None
    return Origin(license_id=_word(license_id), base_model=source.repo_id)


def _from_card(card: Path) -> Origin:
    from huggingface_hub import metadata_load

    data = (metadata_load(card) if card.is_file() else None) or {}
    return Origin(license_id=_word(data.get("license")), base_model=_word(data.get("base_model")))


def _from_gguf(path: Path) -> Origin:
    from export.gguf.file import read_gguf

    return Origin(license_id=_word(read_gguf(path).fields.get("general.license")))


def _word(value: object) -> str | None:
    """A single word of front matter; anything else could not be written there as it is."""
    return value if isinstance(value, str) and value and not set(value) & set("\n:#'\"[]{}") else None
