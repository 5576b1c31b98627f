"""The OpenAPI document is true: it has every route, and schemathesis finds nothing that contradicts it."""

import re
import subprocess
import sys
from pathlib import Path

from service.api.openapi_endpoints import ENDPOINTS
from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model

# Semantic rules, such as a limit on two fields' sum, are no part of a JSON schema: valid data may be refused.
NOT_CHECKED = "positive_data_acceptance"


def test_it_has_every_endpoint_and_nothing_else(fake_server: RunningServer) -> None:
    with fake_server.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    assert {(method, path) for path, methods in paths.items() for method in methods} == ENDPOINTS.keys()


def test_schemathesis_finds_no_failure_in_2000_cases(tiny_model: Path, tmp_path: Path) -> None:
    # With the default limit of bodies: schemathesis takes a 413 for an answer to a good one.
    with running_server(tmp_path, fake_model(tiny_model)) as server:
        command = [str(Path(sys.executable).with_name("st")), "run", f"{server.url}/openapi.json"]
        command += ["--header", f"Authorization: Bearer {server.token}", "--exclude-checks", NOT_CHECKED]
        command += ["--max-examples", "30", "--continue-on-failure", "--warnings", "off", "--seed", "1"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr
        generated = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
        assert generated is not None, done.stdout[-2000:]
        assert int(generated[1]) >= 2000
        assert "request_failed" not in server.log.read_text()
