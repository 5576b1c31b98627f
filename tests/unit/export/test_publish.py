import signal
import subprocess
import sys
from pathlib import Path

import pytest

from export.errors import ConversionError
from export.publish import is_model_folder, recover, refuse_foreign, workspace
from service.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]

# Fills a model and dies by SIGKILL at the moment that the first argument names.
DYING = """
import os, signal, sys
from pathlib import Path
from export import publish

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

moment, output = sys.argv[1], Path(sys.argv[2])
with publish.workspace(output) as work:
    (work.model / "openvino_model.xml").write_text("new")
    if moment == "before the manifest":
        die()
    (work.model / "manifest.json").write_text("new")
    if moment == "before publishing":
        die()
    if moment == "between the renames":
        rename = Path.rename
        Path.rename = lambda self, target: die() if target == output else rename(self, target)
    work.publish()
    if moment == "after publishing":
        die()
"""
MOMENTS = ["before the manifest", "before publishing", "between the renames", "after publishing"]


def fill(folder: Path, content: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("openvino_model.xml", "manifest.json"):
        (folder / name).write_text(content)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_half_way(output: Path) -> None:
    with workspace(output) as work:
        fill(work.model, "half")
        raise ConversionError("boom")


def content(output: Path) -> str:
    return (output / "manifest.json").read_text()


def killed(moment: str, output: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", DYING, moment, str(output)], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL


def convert_again(output: Path) -> None:
    with workspace(output) as work:
        fill(work.model, "again")
        work.publish()


def test_the_output_appears_only_when_published_and_nothing_else_stays(tmp_path: Path) -> None:
    output = tmp_path / "models" / "m"
    with workspace(output) as work:
        fill(work.model, "new")
        work.scratch("download").mkdir()
        assert not output.exists()
        work.publish()
    assert content(output) == "new"
    assert names(output.parent) == ["m"]


def test_a_failure_leaves_nothing_not_even_the_folder_made_for_it(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="boom"):
        fail_half_way(tmp_path / "models" / "m")
    assert names(tmp_path) == []


def test_a_failure_leaves_the_old_model_as_it_was(tmp_path: Path) -> None:
    output = tmp_path / "m"
    fill(output, "old")
    with pytest.raises(ConversionError, match="boom"):
        fail_half_way(output)
    assert content(output) == "old"
    assert names(tmp_path) == ["m"]


def test_publishing_replaces_the_old_model(tmp_path: Path) -> None:
    fill(tmp_path / "m", "old")
    convert_again(tmp_path / "m")
    assert content(tmp_path / "m") == "again"
    assert names(tmp_path) == ["m"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_leaves_a_whole_model_or_none(tmp_path: Path, moment: str) -> None:
    output = tmp_path / "m"
    killed(moment, output)
    recover(output)
    assert is_model_folder(output) == (moment == "after publishing")
    assert output.exists() == (moment == "after publishing")
    convert_again(output)
    assert content(output) == "again"
    assert names(tmp_path) == ["m"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_never_loses_the_old_model(tmp_path: Path, moment: str) -> None:
    output = tmp_path / "m"
    fill(output, "old")
    killed(moment, output)
    recover(output)
    assert content(output) == ("new" if moment == "after publishing" else "old")


def test_two_conversions_of_one_output_do_not_meet(tmp_path: Path) -> None:
    with (
        workspace(tmp_path / "m"),
        pytest.raises(ConversionError, match="another conversion"),
        workspace(tmp_path / "m"),
    ):
        pytest.fail("the second began")


def test_two_outputs_side_by_side_do_not_disturb_each_other(tmp_path: Path) -> None:
    with workspace(tmp_path / "a") as first, workspace(tmp_path / "b") as second:
        fill(first.model, "a")
        fill(second.model, "b")
        first.publish()
        second.publish()
    assert (content(tmp_path / "a"), content(tmp_path / "b")) == ("a", "b")


def test_an_unwritable_output_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConversionError, match=r"can't write .* choose another --output"),
        workspace(tmp_path / "file" / "m"),
    ):
        pytest.fail("it began")


def test_an_empty_folder_may_become_the_output(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    refuse_foreign(tmp_path / "m")
    convert_again(tmp_path / "m")
    assert content(tmp_path / "m") == "again"


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="not a converted model"):
        refuse_foreign(tmp_path)


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        refuse_foreign(tmp_path / "m")


def test_a_model_in_parts_is_a_model_too(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("")
    assert not is_model_folder(tmp_path)
    (tmp_path / "openvino_language_model.xml").write_text("")
    assert is_model_folder(tmp_path)
