import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from export.publishable import refuse_to_push
from export.quality.errors import QualityError
from export.request import Request
from service.errors import ConfigError
from service.manifest import Manifest, Source, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    manifest = Manifest(
        name="m",
        source=Source(kind="folder", identity="m"),
        task="text-generation",
        architecture="llama",
        weight_format="int8",
        group_size=None,
        device="CPU",
        context_length=8,
        eos_token_ids=[2],
        tool_versions={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    write_manifest(tmp_path, manifest)
    return tmp_path


def request(folder: Path, *, verify: bool = True, accept: bool = False) -> Request:
    return Request(
        name="m", output=folder, weights="int8", device="CPU", force=False, verify=verify, accept=accept
    )


def report(folder: Path, *, passed: bool) -> None:
    (folder / "report.json").write_text(json.dumps({"checks": [{"passed": True}, {"passed": passed}]}))


def test_a_model_within_its_limits_may_go_out(folder: Path) -> None:
    report(folder, passed=True)
    refuse_to_push(folder, request(folder))


def test_a_model_beyond_a_limit_goes_out_only_when_that_is_accepted(folder: Path) -> None:
    report(folder, passed=False)
    with pytest.raises(QualityError, match="not published without --accept"):
        refuse_to_push(folder, request(folder))
    refuse_to_push(folder, request(folder, accept=True))


def test_a_model_that_was_never_compared_goes_out_only_when_that_was_declined(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"export/verify\.py"):
        refuse_to_push(folder, request(folder))
    refuse_to_push(folder, request(folder, verify=False))
