import json
from pathlib import Path

import pytest
import yaml

from export.model_card import write_card
from service.manifest import read_manifest, write_manifest
from tests.support.tiny import write_tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny_model(tmp_path)
    return tmp_path


def front_matter(card: str) -> dict[str, object]:
    return dict(yaml.safe_load(card.split("---\n")[1]))


def test_the_front_matter_is_what_the_hub_reads(folder: Path) -> None:
    card = write_card(folder, "me/tiny-int8", "apache-2.0", "org/name")
    assert front_matter(card) == {
        "library_name": "openvino",
        "pipeline_tag": "text-generation",
        "license": "apache-2.0",
        "base_model": "org/name",
        "base_model_relation": "quantized",
        "tags": ["openvino", "int8", "tiber-serve"],
    }


def test_what_is_not_known_is_not_claimed(folder: Path) -> None:
    card = write_card(folder, "me/tiny-int8", None, None)
    assert "license" not in front_matter(card)
    assert "base_model" not in front_matter(card)
    assert "not known: see the source model" in card


def test_it_says_how_to_serve_the_model(folder: Path) -> None:
    card = write_card(folder, "me/tiny-int8", None, None)
    assert "tiber-serve serve" in card
    assert 'openvino_genai.LLMPipeline("tiny-int8", "CPU")' in card


@pytest.mark.parametrize(
    ("passed", "accepted", "says"),
    [
        (True, False, "Within every limit"),
        (False, True, "Beyond a limit of its weight format**, and published"),
    ],
)
def test_a_quality_report_becomes_a_table(folder: Path, passed: bool, accepted: bool, says: str) -> None:
    report = {
        "measures": {"kl_mean": 0.0123456, "positions": 64},
        "checks": [{"measure": "kl_mean", "passed": passed}],
        "accepted": accepted,
    }
    (folder / "report.json").write_text(json.dumps(report))
    card = write_card(folder, "me/tiny-int8", None, None)
    assert "| kl mean | 0.012346 |\n| positions | 64 |\n" in card
    assert says in card


def test_hardware_that_was_not_at_hand_is_said_to_be_unverified(folder: Path) -> None:
    manifest = read_manifest(folder).model_copy(update={"device": "GPU"})
    write_manifest(folder, manifest)
    assert "not verified on hardware" in write_card(folder, "me/tiny-int8", None, None)
