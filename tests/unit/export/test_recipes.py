from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from export.catalogue import entries, find
from export.recipes import choose_recipe, draft_model, recommended_weights, tables
from service.errors import ConfigError
from service.manifest import Device, WeightFormat

DEVICES: tuple[Device, ...] = get_args(Device)
FORMATS: tuple[WeightFormat, ...] = get_args(WeightFormat)


OFFERED = [(row.device, row.weights) for row in tables().recipe]
REFUSED = [(row.device, row.weights) for row in tables().refusal]


def test_every_device_and_format_is_either_offered_or_refused() -> None:
    assert sorted([*OFFERED, *REFUSED]) == sorted(product(DEVICES, FORMATS))


@pytest.mark.parametrize(("device", "weights"), OFFERED)
def test_every_catalogue_entry_gets_a_recipe_for_what_is_offered(
    device: Device, weights: WeightFormat
) -> None:
    for entry in entries():
        recipe = choose_recipe(
            device=device, weights=weights, architecture=entry.architecture, model_id=entry.hub_id
        )
        assert (recipe.device, recipe.weights) == (device, weights)
        assert recipe.reasons
        assert recipe.summary().startswith(f"{weights} for {device}: ")


@pytest.mark.parametrize(("device", "weights"), REFUSED)
def test_the_rest_is_refused_with_a_reason_and_a_way_out(device: Device, weights: WeightFormat) -> None:
    with pytest.raises(ConfigError, match=f"--weights {weights} is not offered for {device}: .*; use --wei"):
        choose_recipe(device=device, weights=weights)


@pytest.mark.parametrize("device", DEVICES)
def test_what_is_recommended_is_offered(device: Device) -> None:
    assert choose_recipe(device=device, weights=recommended_weights(device)).device == device


def test_every_refusal_names_a_format_that_is_offered() -> None:
    for refusal in tables().refusal:
        assert choose_recipe(device=refusal.device, weights=refusal.instead)


def test_every_reason_names_a_source_that_is_there() -> None:
    rows = [*tables().recipe, *tables().override]
    assert {reason.source for row in rows for reason in row.reasons} <= set(tables().sources)


def test_hardware_that_was_not_at_hand_is_said_not_to_be_verified() -> None:
    notes = {device: tables().devices[device].hardware_note for device in DEVICES}
    assert notes["CPU"] is None
    assert all("not verified on hardware" in str(notes[device]) for device in ("GPU", "GAUDI"))


def test_int8_is_asymmetric_per_channel_by_default() -> None:
    recipe = choose_recipe(device="CPU", weights="int8")
    assert (recipe.mode, recipe.method, recipe.is_int4) == ("int8_asym", "none", False)


@pytest.mark.parametrize(
    "model_id",
    ["meta-llama/Llama-3.1-8B-Instruct", "META-LLAMA/llama-3.1-8b-instruct", "Llama-3.1-8B-Instruct"],
)
def test_a_known_model_gets_its_own_int4_by_hub_id_or_folder_name(model_id: str) -> None:
    recipe = choose_recipe(device="GPU", weights="int4", architecture="llama", model_id=model_id)
    assert (recipe.mode, recipe.group_size, recipe.ratio, recipe.method) == (
        "int4_asym",
        64,
        0.8,
        "awq-data-free",
    )
    assert recipe.reasons[-1].source == "optimum-intel"


def test_an_architecture_has_its_override_and_a_model_of_it_the_last_word() -> None:
    unknown = choose_recipe(device="CPU", weights="int4", architecture="phi3", model_id="org/own-phi")
    known = choose_recipe(
        device="CPU", weights="int4", architecture="phi3", model_id="microsoft/Phi-4-mini-instruct"
    )
    assert (unknown.group_size, unknown.method) == (64, "none")
    assert (known.group_size, known.method) == (64, "awq-data-free")


def test_overrides_for_openvino_leave_gaudi_alone() -> None:
    recipe = choose_recipe(device="GAUDI", weights="int4", architecture="phi3")
    assert (recipe.engine, recipe.group_size) == ("vllm", 128)


def test_the_command_line_has_the_last_word_on_the_method(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("any")
    recipe = choose_recipe(
        device="CPU",
        weights="int4",
        model_id="Qwen/Qwen3-4B",
        method="scale-estimation",
        calibration=text,
    )
    assert (recipe.method, recipe.calibration) == ("scale-estimation", text)


def test_a_method_without_int4_is_refused() -> None:
    with pytest.raises(ConfigError, match="--method awq is for INT4"):
        choose_recipe(device="CPU", weights="int8", method="awq")


def test_a_calibration_text_that_nothing_reads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--calibration needs a method that reads texts"):
        choose_recipe(device="CPU", weights="int4", calibration=tmp_path)
    with pytest.raises(ConfigError, match="missing does not exist"):
        choose_recipe(device="CPU", weights="int4", method="awq", calibration=tmp_path / "missing")


def test_draft_models_share_their_models_vocabulary() -> None:
    for row in tables().draft:
        draft = find(row.draft)
        assert draft is not None
        for model in row.models:
            entry = find(model)
            assert entry is not None
            assert entry.shape.vocabulary == draft.shape.vocabulary
    assert draft_model("Qwen/Qwen2.5-7B-Instruct") is None
    assert draft_model(None) is None


def test_the_documentation_shows_every_format_and_what_is_refused() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "export.md").read_text(encoding="utf-8")
    for weights in FORMATS:
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{weights}` |")]
        cells = row.split(" | ")[1:]
        for device, cell in zip(DEVICES, cells, strict=True):
            assert ("refused" in cell) == ((device, weights) in REFUSED)
