"""What root writes for the service stays the service's."""

import os
from pathlib import Path

import pytest

from service.auth.private_file import locked, replace

SOMEBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write for another user")
def test_files_that_root_writes_belong_to_the_owner_of_the_file_or_of_the_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, SOMEBODY, SOMEBODY)
    path = tmp_path / "bans.json"
    for _ in range(2):
        with locked(path):
            replace(path, [b"{}"])
        assert {file.stat().st_uid for file in tmp_path.iterdir()} == {SOMEBODY}
    assert len(list(tmp_path.iterdir())) == 2
