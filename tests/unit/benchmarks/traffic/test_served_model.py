"""The manifest in a record is that of the model that was loaded, or says that nobody knows."""

import json
from pathlib import Path

import pytest

from benchmarks.client import Target
from benchmarks.traffic.paced_server import paced_server
from benchmarks.traffic.served import UNVERIFIED, VERIFIED, check_served
from service.errors import ConfigError
from tests.support.server import running_server
from tests.support.tiny import fake_model, write_tiny_model


def made_from(folder: Path, sha256: str) -> Path:
    folder.mkdir()
    write_tiny_model(folder)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["source"] |= {"sha256": sha256, "revision": None}
    path.write_text(json.dumps(manifest))
    return folder


def test_a_server_of_ours_is_asked_what_it_serves(tmp_path: Path) -> None:
    served, other = (made_from(tmp_path / name, 64 * name) for name in "ab")
    with running_server(tmp_path, fake_model(served)) as server:
        target = Target.from_url(server.url, server.token)
        assert check_served(target, served, None) == VERIFIED
        assert check_served(target, served, "tiny") == VERIFIED
        with pytest.raises(ConfigError, match="give the folder that is served"):
            check_served(target, other, None)


def test_another_server_is_not_verified(tiny_model: Path) -> None:
    with paced_server() as target:
        assert check_served(target, tiny_model, None) == UNVERIFIED
