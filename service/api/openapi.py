"""The OpenAPI document: what every endpoint takes, gives and refuses."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.api.errors import ErrorBody
from service.api.openapi_endpoints import ENDPOINTS, Access, Endpoint

OPENAPI_PATH = "/openapi.json"
_REFERENCE = "#/components/schemas/{name}"
_ERRORS = {
    400: "The body breaks a rule: the message names the field, the limit and the value.",
    401: "No valid token came with the request.",
    403: "The token may not use that model; or this client is banned for as long as `Retry-After` says.",
    404: "No model of that name is served.",
    413: "The body is too large.",
    429: "As many requests as allowed are running, waiting, or came from this client; see `Retry-After`.",
    500: "A bug: logged with the request id.",
    503: "The engine is starting, restarting or draining; `Retry-After` says when to try again.",
    504: "The service's time limit passed before the answer.",
}
_SECURITY: dict[Access, list[dict[str, list[str]]]] = {
    "token": [{"token": []}],
    "anybody": [],
    "either": [{}, {"token": []}],
}
_DESCRIPTION = """Serves language models on Intel hardware.

Below a model's name, and below a GPU's, every path is there for that model: `/MODEL/generate`,
`/MODEL/gpu0/generate`. On streams, an error after the first event is an event with the error's object.
"""


def document(app: FastAPI) -> dict[str, Any]:
    """The document of an application: its requests from the routes, its answers from `ENDPOINTS`."""
    openapi = get_openapi(
        title="tiber-serve", version=version("tiber-serve"), description=_DESCRIPTION, routes=app.routes
    )
    schemas = openapi["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas |= _answer_schemas()
    openapi["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    openapi["paths"] = {
        path: {method: _operation(operations[method], endpoint) for method, endpoint in methods.items()}
        for path, operations in openapi["paths"].items()
        if (methods := _documented(path))
    }
    return openapi


def _documented(path: str) -> dict[str, Endpoint]:
    return {method: endpoint for (method, at), endpoint in ENDPOINTS.items() if at == path}


def _answer_schemas() -> dict[str, Any]:
    types = [
        kind for endpoint in ENDPOINTS.values() for kind in (*_any(endpoint.answer), *_any(endpoint.event))
    ]
    _, schemas = msgspec.json.schema_components([*types, ErrorBody], ref_template=_REFERENCE)
    return schemas


def _any(kind: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a type, of which msgspec takes any
    return kind if isinstance(kind, tuple) else (kind,) if kind else ()


def _operation(operation: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    responses = {"200": {"description": endpoint.meaning, "content": _content(endpoint)}}
    for status in endpoint.errors:
        responses[str(status)] = {"description": _ERRORS[status], "content": _json(ErrorBody)}
    for status, kind in endpoint.other_answers.items():
        responses[str(status)] = {"description": endpoint.meaning, "content": _json(kind)}
    operation = {**operation, "responses": responses, "security": _SECURITY[endpoint.access]}
    if endpoint.examples:
        content = operation["requestBody"]["content"]["application/json"]
        content["examples"] = {name: {"value": value} for name, value in endpoint.examples.items()}
    return operation


def _content(endpoint: Endpoint) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if endpoint.answer:
        content |= _json(endpoint.answer)
    elif not endpoint.event:
        content[endpoint.media_type] = {"schema": {"type": "string"}}
    if endpoint.event:
        content["text/event-stream"] = {"schema": _event_schema(endpoint)}
    return content


def _event_schema(endpoint: Endpoint) -> dict[str, Any]:
    """As OpenAPI 3.2 has it: the schema of one event, whose data is JSON. An error ends a stream too."""
    content = _schema((*_any(endpoint.event), ErrorBody))
    data: dict[str, Any] = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": content,
    }
    if endpoint.ends_with_done:
        data = {"anyOf": [{"const": "[DONE]"}, data]}
    return {"type": "object", "properties": {"data": data}, "required": ["data"]}


def _json(kind: Any) -> Mapping[str, Any]:  # noqa: ANN401 - a type, of which msgspec takes any
    return {"application/json": {"schema": _schema(kind)}}


def _schema(kind: Any) -> dict[str, Any]:  # noqa: ANN401 - the same
    schemas, _ = msgspec.json.schema_components(_any(kind), ref_template=_REFERENCE)
    return schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}
