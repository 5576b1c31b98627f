"""From the command line's words to an API; and an outside tool's report."""

import json
from pathlib import Path

import pytest

from benchmarks.client import Target
from benchmarks.errors import BenchmarkError
from benchmarks.traffic.cross_check import Comparison
from benchmarks.traffic.dialects import OpenAi, Tgi
from benchmarks.traffic.guidellm import Figures, read_report
from benchmarks.traffic.settings import read_dialect, read_extra
from service.errors import ConfigError

NOBODY = Target(host="127.0.0.1", port=1, token="")


def test_a_named_model_is_not_asked_for() -> None:
    chat = read_dialect("openai-chat", NOBODY, model_name="m", ignore_eos=False, extra={})
    assert chat == OpenAi(model="m", is_chat=True, ignore_eos=False)
    assert chat.path == "/v1/chat/completions"
    assert read_dialect("tgi", NOBODY, model_name=None, ignore_eos=True, extra={}) == Tgi()


def test_an_unknown_api_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="openai-chat, not 'grpc'"):
        read_dialect("grpc", NOBODY, model_name=None, ignore_eos=True, extra={})


def test_what_is_added_to_requests_is_an_object() -> None:
    assert read_extra('{"top_k": 1}') == {"top_k": 1}
    for text in ("[1]", "{", '{"temperature": NaN}'):
        with pytest.raises(ConfigError, match="--extra"):
            read_extra(text)


def request(start_s: float, ttft_ms: float) -> dict[str, float]:
    return {
        "request_start_time": start_s,
        "request_end_time": start_s + 2,
        "output_tokens": 8,
        "time_to_first_token_ms": ttft_ms,
        "inter_token_latency_ms": 20,
    }


def test_guidellms_report_is_read_as_ours_are(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    answered = [request(0, 100), request(1, 200), request(2, 600)]
    path.write_text(json.dumps({"benchmarks": [{"requests": {"successful": answered}}]}))
    assert read_report(path, requests=3) == Figures(output_tokens_per_s=6.0, ttft_s=0.2, tpot_s=0.02)
    with pytest.raises(BenchmarkError, match="3 of 4 requests"):
        read_report(path, requests=4)
    path.write_text("{}")
    with pytest.raises(BenchmarkError, match="no report"):
        read_report(path, requests=3)


@pytest.mark.parametrize(
    ("ours", "agrees"), [([104.0, 90.0, 130.0], True), ([106.0] * 3, False), ([94.0], False)]
)
def test_load_generators_agree_when_their_medians_are_within_a_twentieth(
    ours: list[float], agrees: bool
) -> None:
    one = Comparison(concurrency=1, name="ttft_s", ours=ours, theirs=[100.0] * len(ours), ratio=None)
    assert one.agrees == agrees
