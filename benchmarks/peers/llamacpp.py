"""llama.cpp's server: its launch line, by xllamacpp (the same server, as a library)."""

from pathlib import Path

from benchmarks.peers.launch import Launch

REQUIREMENTS = ("llamacpp.txt",)
_SCRIPT = Path(__file__).with_name("llamacpp_server.py")
_CONTEXT_TOKENS_PER_REQUEST = 512


def launch(python: Path, model: Path, *, port: int, concurrency: int, cores: int) -> Launch:
    """Serve a GGUF file to `concurrency` requests at once, on all cores."""
    options = {
        "model": str(model),
        "port": str(port),
        "parallel": str(concurrency),
        "threads": str(cores),
        "context": str(concurrency * _CONTEXT_TOKENS_PER_REQUEST),
    }
    return Launch(
        command=(
            str(python),
            str(_SCRIPT),
            *(part for name, value in options.items() for part in (f"--{name}", value)),
        ),
        environment={},
        settings=(
            f"the AVX2 wheel; {cores} threads; as many slots as requests at once, started anew for each "
            "number; a KV cache of its own for each slot, in f16, continuous batching, batches of 2048 and "
            "512, flash attention auto; no cache of earlier prompts in RAM"
        ),
    )
