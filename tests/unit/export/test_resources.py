from pathlib import Path

import pytest

from export.errors import ConversionError
from export.resources import (
    GIB,
    Need,
    _cgroup_rooms,
    available_memory,
    check_resources,
    folder_need,
    gguf_need,
    require,
)
from service.manifest import WeightFormat

FORMATS: tuple[WeightFormat, ...] = ("int4", "int8", "fp16")
HERE = Path("/models")


def test_enough_of_both_passes() -> None:
    require(Need(disk=GIB, memory=GIB), disk=GIB, memory=GIB, folder=HERE)


def test_too_little_disk_names_need_have_and_place() -> None:
    with pytest.raises(ConversionError, match=r"needs 3\.0 GiB of disk under /models and 512 MiB are free"):
        require(Need(disk=3 * GIB, memory=0), disk=GIB // 2, memory=GIB, folder=HERE)


def test_too_little_memory_names_need_and_have() -> None:
    with pytest.raises(ConversionError, match=r"needs 9\.5 GiB of memory and 4\.0 GiB are available"):
        require(Need(disk=0, memory=19 * GIB // 2), disk=GIB, memory=4 * GIB, folder=HERE)


def test_this_machine_is_really_asked(tmp_path: Path) -> None:
    check_resources(Need(disk=1, memory=1), tmp_path)
    with pytest.raises(ConversionError, match="of memory"):
        check_resources(Need(disk=1, memory=1 << 60), tmp_path)
    with pytest.raises(ConversionError, match="of disk"):
        check_resources(Need(disk=1 << 60, memory=1), tmp_path)
    assert available_memory() > 0


def test_a_control_group_limits_memory_and_its_page_cache_counts_as_free(tmp_path: Path) -> None:
    group = tmp_path / "fs" / "outer" / "inner"
    group.mkdir(parents=True)
    for folder, limit in ((group, "max"), (group.parent, "1000")):
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text("700\n")
        (folder / "memory.stat").write_text("anon 5\ninactive_file 100\n")
    membership = tmp_path / "cgroup"
    membership.write_text("0::/outer/inner\n")
    assert _cgroup_rooms(tmp_path / "fs", membership) == [400]


def test_without_control_groups_nothing_limits(tmp_path: Path) -> None:
    assert _cgroup_rooms(tmp_path, tmp_path / "missing") == []


def test_the_default_model_fits_a_2_gib_machine() -> None:
    need = gguf_need(parameter_count=134_515_008, largest_tensor=28_311_552, weights="int8")
    assert need.memory < 2 * GIB
    assert need.disk < GIB


def test_wider_weights_need_more() -> None:
    needs = [folder_need(weight_bytes=GIB, weights=weights) for weights in FORMATS]
    assert needs == sorted(needs, key=lambda need: (need.disk, need.memory))


def test_calibration_needs_more_memory_and_no_more_disk() -> None:
    plain, calibrated = (
        folder_need(weight_bytes=GIB, weights="int4", is_calibrated=is_calibrated)
        for is_calibrated in (False, True)
    )
    assert calibrated.disk == plain.disk
    assert calibrated.memory > plain.memory + 2 * GIB
