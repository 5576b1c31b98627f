"""Traces, as a collector receives them from a real server process."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from service import bootstrap
from service.errors import ConfigError
from service.settings import ModelSettings, Settings
from tests.support.server import RunningServer, free_port, running_server
from tests.support.tiny import fake_model

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
CLIENT_SPAN_ID = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{CLIENT_SPAN_ID}-01"
PROMPT = "very-private-text"


class Collector:
    """Takes OTLP over HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.paths: set[str] = set()
        self.bodies: list[bytes] = []
        self.service: dict[str, Any] = {}
        self.spans: list[Span] = []

    def receive(self, path: str, body: bytes) -> None:
        self.paths.add(path)
        self.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.service = {item.key: item.value.string_value for item in resource.resource.attributes}
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]

    def wait_for(self, request_id: str) -> Span:
        """A request's own span: it ends after its children, so they are here too."""
        deadline = time.monotonic() + 10
        while True:
            for span in self.spans:
                if attributes(span).get("tiber.request_id") == request_id:
                    return span
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def children(self, root: Span) -> dict[str, Span]:
        return {span.name: span for span in self.spans if span.parent_span_id == root.span_id}


@contextmanager
def collecting() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.receive(self.path, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def server(
    collector: Collector, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    config = f'otel_endpoint = "{collector.url}"\n' + fake_model(tiny_model, step_s=0.01)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        patch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=tests")
        with running_server(tmp_path_factory.mktemp("tracing"), config) as running:
            yield running


def attributes(span: Span) -> dict[str, Any]:
    return {
        item.key: [value.string_value for value in item.value.array_value.values]
        if item.value.HasField("array_value")
        else getattr(item.value, str(item.value.WhichOneof("value")))
        for item in span.attributes
    }


def generate(server: RunningServer, **parameters: Any) -> str:
    """Generate; give the request id."""
    with server.client() as client:
        response = client.post(
            "/generate",
            json={"inputs": PROMPT, "parameters": parameters},
            headers={"traceparent": TRACEPARENT},
        )
    return response.headers["x-request-id"]


def test_a_request_is_a_span_of_the_clients_trace_with_its_phases(
    server: RunningServer, collector: Collector
) -> None:
    request_id = generate(server, max_new_tokens=20, temperature=0.5, seed=7)
    root = collector.wait_for(request_id)
    assert root.name == "text_completion tiny"
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == (TRACE_ID, CLIENT_SPAN_ID)
    assert attributes(root) == {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "tiber-serve",
        "gen_ai.request.model": "tiny",
        "gen_ai.response.model": "tiny",
        "gen_ai.request.max_tokens": 20,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 1.0,
        "gen_ai.request.seed": 7,
        "gen_ai.request.frequency_penalty": 0.0,
        "gen_ai.request.presence_penalty": 0.0,
        "gen_ai.usage.input_tokens": len(PROMPT),
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.response.finish_reasons": ["length"],
        "gen_ai.response.time_to_first_chunk": attributes(root)["gen_ai.response.time_to_first_chunk"],
        "tiber.request_id": request_id,
    }
    phases = collector.children(root)
    assert set(phases) == {"queue", "prefill", "decode"}
    queue, prefill, decode = phases["queue"], phases["prefill"], phases["decode"]
    times = [queue.start_time_unix_nano, prefill.start_time_unix_nano, decode.start_time_unix_nano]
    ends = [queue.end_time_unix_nano, prefill.end_time_unix_nano, decode.end_time_unix_nano]
    assert [root.start_time_unix_nano, *ends[:2]] == times
    assert ends[-1] == root.end_time_unix_nano
    # 19 steps after the first token.
    assert 0.15e9 < decode.end_time_unix_nano - decode.start_time_unix_nano < 2e9
    assert abs(root.end_time_unix_nano - time.time_ns()) < 10e9
    assert collector.paths == {"/v1/traces"}
    assert collector.service["service.name"] == "tiber-serve"
    assert collector.service["deployment.environment.name"] == "tests"


def test_a_failed_request_says_why(server: RunningServer, collector: Collector) -> None:
    root = collector.wait_for(generate(server, max_new_tokens=100_000))
    assert attributes(root)["error.type"] == "validation"
    assert root.status.code == Status.STATUS_CODE_ERROR
    assert set(collector.children(root)) == {"queue"}


def test_prompts_and_answers_stay_out_of_traces(server: RunningServer, collector: Collector) -> None:
    collector.wait_for(generate(server, max_new_tokens=len(PROMPT)))
    # The fake engine's answer is its prompt.
    assert not any(PROMPT.encode() in body for body in collector.bodies)


def test_the_last_spans_leave_at_the_end(tiny_model: Path, tmp_path: Path, collector: Collector) -> None:
    config = f'otel_endpoint = "{collector.url}"\n' + fake_model(tiny_model)
    with running_server(tmp_path, config) as server:
        request_id = generate(server, max_new_tokens=2)
    # No batch is due yet: the default delay is five seconds.
    assert collector.wait_for(request_id)


def test_a_collector_that_is_away_costs_requests_nothing(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    config = f'otel_endpoint = "http://127.0.0.1:{free_port()}"\n' + fake_model(tiny_model)
    with running_server(tmp_path, config) as server:
        for _ in range(5):
            began_s = time.monotonic()
            generate(server, max_new_tokens=2)
            assert time.monotonic() - began_s < 1
            time.sleep(0.1)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 6


def test_without_the_extra_a_configured_endpoint_is_a_clear_error(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.delitem(sys.modules, "service.telemetry.tracing", raising=False)
    settings = Settings(
        otel_endpoint="http://localhost:4318", models=(ModelSettings(path=tiny_model, backend="fake"),)
    )
    with pytest.raises(ConfigError, match=r"pip install 'tiber-serve\[otel\]'"):
        bootstrap.build_service(settings, extra_token="t")
