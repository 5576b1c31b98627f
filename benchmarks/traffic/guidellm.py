"""Runs guidellm, an outside load generator, on a workload of ours."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.client import Target
from benchmarks.errors import BenchmarkError
from benchmarks.stats import median
from benchmarks.traffic.workloads import Ask

INSTALL = "python3 -m venv DIR && DIR/bin/pip install guidellm==0.8.1"
_SHOWN = 1500
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    # As it comes, up to ten processes look for work 10,000 times a second: that takes a server's cores.
    "GUIDELLM__MAX_WORKER_PROCESSES": "1",
    "GUIDELLM__DEFAULT_ASYNC_LOOP_SLEEP": "0.001",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a load generator saw of a run: medians over requests in seconds, and the throughput from the first
    request's start to the last one's end."""

    output_tokens_per_s: float
    ttft_s: float
    tpot_s: float


def run_guidellm(
    program: Path,
    target: Target,
    asks: list[Ask],
    *,
    model: Path,
    model_name: str,
    concurrency: int,
    folder: Path,
    timeout_s: float,
) -> Figures:
    """Send the requests as completions, `concurrency` at once. Raises: BenchmarkError when it fails."""
    data, output = folder / "prompts.jsonl", folder / "report.json"
    data.write_text("".join(f"{json.dumps(_row(ask))}\n" for ask in asks), encoding="utf-8")
    output.unlink(missing_ok=True)
    backend = {
        "kind": "openai_http",
        "target": f"http://{target.host}:{target.port}",
        "api_key": target.token,
        "model": model_name,
        "request_format": "/v1/completions",
    }
    options = {
        "--backend": backend,
        "--profile": {"kind": "concurrent", "streams": [concurrency]},
        "--constraint": {"kind": "max_requests", "count": len(asks)},
        "--data": {"kind": "json_file", "path": str(data)},
        "--tokenizer": {"kind": "hf_auto", "model": str(model.resolve())},
        "--output": {"kind": "json", "path": str(output)},
    }
    command = [str(program.absolute()), "run", "--disable-console"]
    for name, value in options.items():
        command += [name, json.dumps(value)]
    _call(command, folder, timeout_s)
    return read_report(output, requests=len(asks))


def read_report(path: Path, *, requests: int) -> Figures:
    """Read its report. Raises: BenchmarkError when it is none, or not all requests were answered."""
    try:
        (run,) = json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
        answered = run["requests"]["successful"]
        if len(answered) != requests:
            raise BenchmarkError(f"guidellm had {len(answered)} of {requests} requests answered")
        return _figures(answered)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(f"guidellm left no report that we can read: {error!r}") from error


def _figures(answered: list[dict[str, Any]]) -> Figures:
    begin_s = min(one["request_start_time"] for one in answered)
    end_s = max(one["request_end_time"] for one in answered)
    return Figures(
        output_tokens_per_s=sum(one["output_tokens"] for one in answered) / (end_s - begin_s),
        ttft_s=median([one["time_to_first_token_ms"] for one in answered]) / 1000,
        # What it calls the inter-token latency is our time per output token.
        tpot_s=median([one["inter_token_latency_ms"] for one in answered]) / 1000,
    )


def _row(ask: Ask) -> dict[str, Any]:
    # With a number of output tokens it asks for max_tokens and ignore_eos.
    return {"prompt": ask.text, "output_tokens_count": ask.output_tokens}


def _call(command: list[str], folder: Path, timeout_s: float) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,  # it leaves a log where it runs
            env={**os.environ, **_ENVIRONMENT},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchmarkError(f"guidellm did not run: {error}. Install it: {INSTALL}") from error
    if done.returncode:
        raise BenchmarkError(f"guidellm failed: {(done.stderr or done.stdout)[-_SHOWN:].strip()}")
