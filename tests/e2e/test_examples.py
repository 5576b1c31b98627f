"""The OpenAPI document's examples run, and what they are answered is as it says."""

from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import msgspec
import pytest

from service.api.openapi_endpoints import ENDPOINTS
from tests.support.server import RunningServer

EXAMPLES = [
    pytest.param(path, body, id=f"{path} {name}")
    for (method, path), endpoint in ENDPOINTS.items()
    for name, body in endpoint.examples.items()
    if method == "post"
]
GETS = [path for method, path in ENDPOINTS if method == "get" and "{" not in path]


@pytest.fixture(scope="module")
def client(real_server: RunningServer) -> Iterator[httpx.Client]:
    with real_server.client() as client:
        yield client


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    document: dict[str, Any] = client.get("/openapi.json").json()
    return document


def validate(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> None:
    jsonschema.validate(
        value,
        {**schema, "components": document["components"]},
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )


def check(response: httpx.Response, operation: dict[str, Any], document: dict[str, Any]) -> None:
    assert response.status_code == 200, response.text
    content = operation["responses"]["200"]["content"]
    media_type = response.headers["content-type"].split(";")[0]
    schema = content[media_type]["schema"]
    if media_type == "application/json":
        validate(response.json(), schema, document)
    elif media_type == "text/event-stream":
        for event in response.text.strip().split("\n\n"):
            _check_event(event.removeprefix("data: "), schema["properties"]["data"], document)
    else:
        validate(response.text, schema, document)


def _check_event(data: str, schema: dict[str, Any], document: dict[str, Any]) -> None:
    validate(data, schema, document)
    if data != "[DONE]":
        encoded = schema["anyOf"][1] if "anyOf" in schema else schema
        validate(msgspec.json.decode(data), encoded["contentSchema"], document)


@pytest.mark.parametrize(("path", "body"), EXAMPLES)
def test_an_example_is_answered_as_documented(
    client: httpx.Client, document: dict[str, Any], path: str, body: dict[str, Any]
) -> None:
    operation = document["paths"][path]["post"]
    request = operation["requestBody"]["content"]["application/json"]
    assert body in [example["value"] for example in request["examples"].values()]
    validate(body, request["schema"], document)
    check(client.post(path, json=body), operation, document)


@pytest.mark.parametrize("path", GETS)
def test_what_takes_no_body_is_answered_as_documented(
    client: httpx.Client, document: dict[str, Any], path: str
) -> None:
    check(client.get(path), document["paths"][path]["get"], document)


def test_an_error_is_as_documented(client: httpx.Client, document: dict[str, Any]) -> None:
    for path in ("/generate", "/v1/chat/completions"):
        response = client.post(path, json={})
        assert response.status_code == 400
        schema = document["paths"][path]["post"]["responses"]["400"]["content"]["application/json"]["schema"]
        validate(response.json(), schema, document)
        assert ("param" in response.json()["error"]) is path.startswith("/v1/")
