"""How peers are started, and what is installed for them."""

from pathlib import Path

import pytest

from benchmarks.peers import environment, llamacpp, vllm
from benchmarks.peers.serving import shown

PYTHON = Path("/env/bin/python")


def test_llama_cpp_gets_a_slot_for_each_request_and_all_cores() -> None:
    launch = llamacpp.launch(PYTHON, Path("/m.gguf"), port=81, concurrency=64, cores=2)

    assert launch.command[0] == "/env/bin/python"
    assert launch.command[2:] == (
        *("--model", "/m.gguf", "--port", "81", "--parallel", "64"),
        *("--threads", "2", "--context", "32768"),
    )
    assert Path(launch.command[1]).is_file()
    assert "2 threads" in launch.settings


def test_vllm_serves_in_bf16_bound_to_the_cores_without_the_network() -> None:
    launch = vllm.launch(PYTHON, Path("/a model"), port=82, cores=(0, 3), cache=Path("/c"))

    assert launch.line.startswith(
        "VLLM_CPU_KVCACHE_SPACE=2 VLLM_CPU_OMP_THREADS_BIND=0,3 TORCHINDUCTOR_CACHE_DIR=/c "
        "VLLM_NO_USAGE_STATS=1 HF_HUB_OFFLINE=1 "
        "/env/bin/python -m vllm.entrypoints.openai.api_server '--model=/a model' --host=127.0.0.1 --port=82 "
        "--dtype=bfloat16 --max-num-seqs=128"
    )


@pytest.mark.parametrize(
    ("name", "package", "version"),
    [("llamacpp", "xllamacpp", "2026.10.11549"), ("vllm", "vllm-cpu", "0.32.0")],
)
def test_every_peer_is_pinned(name: str, package: str, version: str) -> None:
    assert environment.pins(name)[package] == version
    assert all(environment.pins(name).values())


def test_vllm_is_installed_without_what_breaks_it() -> None:
    assert not {"torchvision", "torchaudio", "torchcodec"} & set(environment.pins("vllm"))


def test_an_environment_is_read_from_its_packages(tmp_path: Path) -> None:
    metadata = tmp_path / "lib" / "python3.11" / "site-packages" / "Some_Package-1.2.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: Some_Package\nVersion: 1.2\n")

    assert environment.installed(tmp_path) == {"some-package": "1.2"}
    assert environment.installed(tmp_path / "nowhere") == {}


def test_what_differs_from_the_pins_is_told() -> None:
    told = environment.differences({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "1"})

    assert told == ["b 2 wanted, 1 found", "c 3 wanted, none found"]


def test_a_launch_line_in_a_record_names_no_folder_of_this_machine() -> None:
    cache = environment.CACHE
    line = f"{cache}/vllm/bin/python -m x --model=/home/me/models/m"

    assert shown(line, Path("/home/me/models/m")) == ".cache/peers/vllm/bin/python -m x --model=m"
    assert shown(f"--model={cache}/models/m", cache / "models" / "m") == "--model=.cache/peers/models/m"
