"""Runs llama.cpp's server. This file is run by the peer's own interpreter: it may import nothing of ours."""

import argparse
import signal

import xllamacpp


def main() -> None:
    """Serve until a signal comes."""
    options = _options()
    parameters = xllamacpp.CommonParams()
    parameters.model.path = options.model
    parameters.port = options.port
    parameters.n_parallel = options.parallel
    parameters.n_ctx = options.context
    for threads in (parameters.cpuparams, parameters.cpuparams_batch):
        threads.n_threads = options.threads
    # One cache for all would make each request attend to the cells of all others.
    parameters.kv_unified = False
    # Prompts of a comparison never come again: keeping them would only cost.
    parameters.cache_ram_mib = 0
    parameters.ui = False
    server = xllamacpp.Server(parameters)
    print(f"listening on {server.listening_address}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Runs llama.cpp's server.")
    parser.add_argument("--model", required=True, help="a .gguf file")
    for name in ("port", "parallel", "context", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
