"""Checkpoints for Gaudi: written from tiny random models, and read back by transformers."""

import importlib.util
import json
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from export.conversion import convert
from export.errors import ConversionError
from export.gaudi.formats import GROUP_SIZES, pick_group_size
from export.progress import Steps
from export.request import Request
from export.sources import DEMO, FolderSource
from service.errors import ConfigError
from service.manifest import Device, Manifest, WeightFormat, read_manifest
from tests.support.tiny import CHAT_TEMPLATE
from tests.support.tiny_checkpoint import write_checkpoint

if TYPE_CHECKING:
    import torch

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("compressed_tensors") is None or importlib.util.find_spec("optimum") is None,
    reason="compressed-tensors is not installed: pip install '.[export]'",
)
LAYER = "model.layers.0.self_attn.q_proj"
PACKED = {"int8": ("weight", "weight_scale"), "fp8": ("weight", "weight_scale")}
PACKED |= {"int4": ("weight_packed", "weight_scale", "weight_shape"), "bf16": ("weight",)}


def run(source: Path, output: Path, weights: WeightFormat = "int8", device: Device = "GAUDI") -> Manifest:
    request = Request(name="tiny", output=output, weights=weights, device=device, force=False)
    convert(FolderSource(path=source), request, Steps(Console(file=StringIO())))
    return read_manifest(output)


def refusal(source: Path, output: Path, **wanted: Any) -> str:
    with pytest.raises((ConversionError, ConfigError)) as refused:
        run(source, output, **wanted)
    assert not output.exists()
    return refused.value.message


def tensors_of(folder: Path) -> "dict[str, torch.Tensor]":
    from safetensors.torch import load_file

    places = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    tensors = {
        name: tensor for file in set(places.values()) for name, tensor in load_file(folder / file).items()
    }
    assert set(tensors) == set(places)
    return tensors


def logits_of(folder: Path, *, bf16_activations: bool = False) -> "torch.Tensor":
    import torch

    from export.gaudi.agreement import leave_activations
    from export.gaudi.transformers_run import load, quiet_loading

    model = load(folder)
    if bf16_activations:
        leave_activations(model)
    with torch.inference_mode(), quiet_loading():
        logits: torch.Tensor = model(input_ids=torch.arange(32)[None]).logits[0].float()
    return logits


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny-llama")
    write_checkpoint(folder, shard_size="100KB")
    return folder


@pytest.mark.parametrize(
    ("weights", "most_error"), [("int8", 0.01), ("fp8", 0.06), ("int4", 0.25), ("bf16", 0.001)]
)
def test_transformers_loads_every_format_and_its_logits_are_near_the_sources(
    tiny: Path, tmp_path: Path, weights: WeightFormat, most_error: float
) -> None:
    manifest = run(tiny, tmp_path / "out", weights)
    source = logits_of(tiny)
    error = (logits_of(tmp_path / "out", bf16_activations=True) - source).norm() / source.norm()
    assert error <= most_error
    assert (manifest.engine, manifest.device, manifest.weight_format) == ("vllm", "GAUDI", weights)
    names = {
        name.removeprefix(LAYER + ".") for name in tensors_of(tmp_path / "out") if name.startswith(LAYER)
    }
    assert names == set(PACKED[weights])


@pytest.mark.parametrize(
    ("weights", "storage", "numbers"),
    [
        ("int8", "int-quantized", ("int", 8)),
        ("fp8", "float-quantized", ("float", 8)),
        ("int4", "pack-quantized", ("int", 4)),
    ],
)
def test_the_description_is_what_compressed_tensors_reads(
    tiny: Path, tmp_path: Path, weights: WeightFormat, storage: str, numbers: tuple[str, int]
) -> None:
    from compressed_tensors.quantization import QuantizationConfig

    run(tiny, tmp_path / "out", weights)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    described = QuantizationConfig.model_validate(config["quantization_config"])
    (group,) = config["quantization_config"]["config_groups"].values()
    assert (described.quant_method, described.format, described.ignore) == (
        "compressed-tensors",
        storage,
        ["lm_head"],
    )
    assert (group["weights"]["type"], group["weights"]["num_bits"]) == numbers
    assert group["weights"]["symmetric"]
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["dtype"] == "bfloat16"


def test_each_int8_weight_is_within_half_a_step_and_the_rest_is_untouched(tiny: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    run(tiny, tmp_path / "out")
    written = tensors_of(tmp_path / "out")
    source = {name: value for file in tiny.glob("*.safetensors") for name, value in load_file(file).items()}
    scale = written[f"{LAYER}.weight_scale"].float()
    weight = written[f"{LAYER}.weight"].float()
    # A scale rounded down to bf16 leaves the largest weight up to a further step outside.
    assert ((weight * scale - source[f"{LAYER}.weight"]).abs() <= 1.01 * scale).all()
    inside = weight.abs() < 127
    assert (
        (weight * scale - source[f"{LAYER}.weight"]).abs()[inside] <= 0.51 * scale.expand_as(weight)[inside]
    ).all()
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        assert torch.equal(written[name], source[name].to(torch.bfloat16))
    assert torch.equal(written["model.norm.weight"], source["model.norm.weight"])


def test_tokenizer_template_and_manifest_stand_beside_the_weights(tiny: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    manifest = run(tiny, tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.decode(tokenizer.encode("Łódź, 日本")) == "Łódź, 日本"
    assert tokenizer.chat_template == CHAT_TEMPLATE
    assert manifest.launch["--dtype"] == "bfloat16"
    assert manifest.launch["--max-model-len"] == "256"
    assert manifest.hardware_note is not None
    assert "Not verified on Gaudi hardware" in manifest.hardware_note
    assert "no INT8 kernel" in manifest.hardware_note
    assert "compressed-tensors" in manifest.tool_versions
    assert manifest.launch_line(Path("m")).startswith(
        "VLLM_BUCKETING_STRATEGY=exp VLLM_SKIP_WARMUP=false vllm serve m "
    )


def test_a_tied_output_layer_is_written_once(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "tied", tie_word_embeddings=True)
    run(tmp_path / "tied", tmp_path / "out")
    assert "lm_head.weight" not in tensors_of(tmp_path / "out")


def test_shards_are_written_as_they_fill(tmp_path: Path) -> None:
    import torch

    from export.gaudi.shards import ShardWriter

    with ShardWriter(tmp_path, shard_bytes=100) as writer:
        for number in range(5):
            writer.add(f"t{number}", torch.full((10,), number, dtype=torch.float32))
    files = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert files == [f"model-{number:05}-of-00003.safetensors" for number in (1, 2, 3)]
    assert [int(value[0]) for _, value in sorted(tensors_of(tmp_path).items())] == [0, 1, 2, 3, 4]
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_size": 200}


@pytest.mark.parametrize("model_type", ["mistral", "qwen2", "qwen3", "phi3", "granite", "olmo2"])
def test_other_architectures_are_quantised_too(tmp_path: Path, model_type: str) -> None:
    write_checkpoint(tmp_path / "m", model_type, pad_token_id=0)
    manifest = run(tmp_path / "m", tmp_path / "out")
    assert manifest.architecture == model_type


@pytest.mark.parametrize(
    ("model_type", "changes", "part"),
    [
        ("mixtral", {"num_local_experts": 2}, "no linear layer, for which there is no 8-bit format here"),
        ("gpt2", {"n_embd": 64, "n_head": 4, "n_layer": 1}, "a Conv1D and no linear layer"),
    ],
)
def test_weights_outside_linear_layers_are_refused_and_bf16_takes_them(
    tmp_path: Path, model_type: str, changes: dict[str, Any], part: str
) -> None:
    write_checkpoint(tmp_path / "m", model_type, **changes)
    message = refusal(tmp_path / "m", tmp_path / "out")
    assert part in message
    assert message.endswith("use --weights bf16")
    assert run(tmp_path / "m", tmp_path / "out", "bf16").weight_format == "bf16"


def test_what_is_not_a_number_is_refused_by_name(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    write_checkpoint(tmp_path / "m")
    tensors = load_file(tmp_path / "m" / "model.safetensors")
    tensors[f"{LAYER}.weight"][3, 3] = float("nan")
    save_file(tensors, tmp_path / "m" / "model.safetensors", metadata={"format": "pt"})
    assert f"{LAYER}.weight holds infinities or NaN" in refusal(tmp_path / "m", tmp_path / "out")


def test_broken_and_missing_weights_are_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "m", shard_size="100KB")
    shard = sorted((tmp_path / "m").glob("model-*.safetensors"))[0]
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    assert "can't be read as safetensors" in refusal(tmp_path / "m", tmp_path / "out")
    shard.unlink()
    assert f"lacks {shard.name}, which its index names" in refusal(tmp_path / "m", tmp_path / "out")
    for file in (tmp_path / "m").glob("*.safetensors*"):
        file.unlink()
    (tmp_path / "m" / "pytorch_model.bin").write_bytes(b"a pickle")
    assert "only safetensors are read" in refusal(tmp_path / "m", tmp_path / "out")


def test_a_quantised_source_is_refused(tiny: Path, tmp_path: Path) -> None:
    run(tiny, tmp_path / "once")
    assert "is quantised already" in refusal(tmp_path / "once", tmp_path / "out")


def test_a_tokenizer_that_disagrees_with_its_files_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "m")
    described = {"tokenizer_class": "GPT2TokenizerFast", "add_prefix_space": True}
    (tmp_path / "m" / "tokenizer_config.json").write_text(json.dumps(described))
    assert "differ in" in refusal(tmp_path / "m", tmp_path / "out")


@pytest.mark.parametrize(("weights", "device"), [("fp16", "GAUDI"), ("fp8", "CPU")])
def test_formats_of_the_other_device_are_refused_by_name(
    tiny: Path, tmp_path: Path, weights: WeightFormat, device: Device
) -> None:
    assert f"--weights {weights} is" in refusal(tiny, tmp_path / "out", weights=weights, device=device)


def test_the_demo_vision_model_is_refused(tmp_path: Path) -> None:
    request = Request(name="t", output=tmp_path / "out", weights="int8", device="GAUDI", force=False)
    with pytest.raises(ConfigError, match="not for text alone"):
        convert(DEMO, request, Steps(Console(file=StringIO())))


@pytest.mark.parametrize(
    ("inputs", "group_size"), [((256, 1024), 128), ((576, 1536), 64), ((96, 64), 32), ((72, 64), None)]
)
def test_the_int4_group_size_divides_every_layer(inputs: tuple[int, ...], group_size: int | None) -> None:
    picked = pick_group_size("int4", [(64, width) for width in inputs])
    assert picked == group_size
    assert picked is None or (picked in GROUP_SIZES and all(width % picked == 0 for width in inputs))


def test_int4_of_sizes_that_can_not_be_packed_is_refused() -> None:
    with pytest.raises(ConfigError, match="use --weights int8"):
        pick_group_size("int4", [(60, 64)])
