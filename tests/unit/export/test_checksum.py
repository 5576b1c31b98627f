import hashlib
from pathlib import Path

import pytest

from export import checksum
from export.checksum import file_sha256, folder_sha256


def test_a_file_has_its_plain_sha256(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert file_sha256(tmp_path / "f") == hashlib.sha256(b"abc").hexdigest()


def test_a_folder_changes_with_names_and_content_but_not_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    first = folder_sha256(tmp_path)
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "x").write_bytes(b"")
    assert folder_sha256(tmp_path) == first
    (tmp_path / "a").write_bytes(b"two")
    second = folder_sha256(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert len({first, second, folder_sha256(tmp_path)}) == 3


def test_a_big_file_is_sampled_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(checksum, "SAMPLE_BYTES", 10)
    path = tmp_path / "weights"
    path.write_bytes(b"\0" * 5000)
    before = folder_sha256(tmp_path)
    path.write_bytes(b"\0" * 4999 + b"\1")
    assert folder_sha256(tmp_path) != before
