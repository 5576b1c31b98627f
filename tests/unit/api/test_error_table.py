"""Every error of the project has its row in the table, and its headers."""

import json
from collections.abc import Iterator

import pytest

from service import errors
from service.api.errors import INTERNAL, body, encode_body, headers_of, kind_of, kind_of_status
from service.api.responses import error_frame, error_response

ROWS = [
    (errors.ValidationError("m", param="p"), 400, "validation", "validation"),
    (errors.UnauthorizedError("m"), 401, "unauthorized", "unauthorized"),
    (errors.BannedError("m", retry_after_s=9), 403, "banned", "banned"),
    (errors.ForbiddenError("m"), 403, "forbidden", "forbidden"),
    (errors.SlowClientError("m"), 408, "timeout", "validation"),
    (errors.NotFoundError("m"), 404, "not_found", "not_found"),
    (errors.TooLargeError("m"), 413, "too_large", "validation"),
    (errors.OverloadedError("m", retry_after_s=9), 429, "overloaded", "overloaded"),
    (errors.EngineError("m"), 500, "internal", "generation"),
    (errors.UnavailableError("m", retry_after_s=9), 503, "unavailable", "generation"),
    (errors.DeadlineError("m"), 504, "timeout", "incomplete_generation"),
]
# These end a start or a command: none of them is raised while a request is served.
NEVER_ON_THE_WIRE = {errors.ConfigError, errors.ModelFolderError}


def leaves(root: type[errors.TiberError]) -> Iterator[type[errors.TiberError]]:
    below = root.__subclasses__()
    if not below:
        yield root
    for one in below:
        yield from leaves(one)


def test_no_error_of_the_tree_is_forgotten() -> None:
    ours = {one for one in leaves(errors.TiberError) if one.__module__ == errors.__name__}
    assert {type(row[0]) for row in ROWS} | NEVER_ON_THE_WIRE == ours


@pytest.mark.parametrize(("error", "status", "type_", "tgi_type"), ROWS, ids=lambda value: str(value)[:20])
def test_each_error_has_its_status_and_its_words(
    error: errors.TiberError, status: int, type_: str, tgi_type: str
) -> None:
    response = error_response(error, "/generate")
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    message = "m" if status != 500 else "internal error; the log has it under this request id"
    shape = {"error": {"message": message, "type": type_, "code": status}, "error_type": tgi_type}
    assert json.loads(bytes(response.body)) == shape
    assert error_frame(error, "/generate") == b"data: " + bytes(response.body) + b"\n\n"


def test_what_belongs_to_no_client_is_internal_and_tells_nothing() -> None:
    assert kind_of(errors.ConfigError("secret")) is INTERNAL
    for error in (errors.EngineError("secret"), errors.ConfigError("secret")):
        assert b"secret" not in bytes(error_response(error, "/generate").body)
        assert b"secret" not in error_frame(error, "/generate")


@pytest.mark.parametrize(
    ("seconds", "header"), [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.01, "2"), (299.5, "300")]
)
def test_retry_after_is_whole_seconds_rounded_up(seconds: float, header: str) -> None:
    for kind in (errors.BannedError, errors.OverloadedError, errors.UnavailableError):
        assert headers_of(kind("m", retry_after_s=seconds)) == {"retry-after": header}


def test_only_401_challenges_and_other_errors_bring_no_header() -> None:
    assert headers_of(errors.UnauthorizedError("m")) == {"www-authenticate": "Bearer"}
    assert headers_of(errors.ValidationError("m")) == headers_of(errors.DeadlineError("m")) == {}


@pytest.mark.parametrize(
    ("status", "answered", "type_"),
    [
        (404, 404, "not_found"),
        (405, 405, "method_not_allowed"),
        (400, 400, "validation"),
        (415, 400, "validation"),
        (422, 400, "validation"),
        (500, 500, "internal"),
        (502, 500, "internal"),
    ],
)
def test_what_the_framework_refuses_has_a_row_too(status: int, answered: int, type_: str) -> None:
    kind = kind_of_status(status)
    assert (kind.status, kind.type) == (answered, type_)
    assert body(kind, "m", path="/generate").error.code == answered


def test_a_message_with_half_a_surrogate_pair_is_still_json() -> None:
    assert json.loads(encode_body(INTERNAL, "a\ud800b", path="/generate"))["error"]["message"] == "a?b"


def test_openais_endpoints_name_the_field_inside_the_error() -> None:
    error = errors.ValidationError("m", param="messages")
    assert (
        json.loads(bytes(error_response(error, "/v1/chat/completions").body))["error"]["param"] == "messages"
    )
    other = json.loads(bytes(error_response(errors.DeadlineError("m"), "/v1/models").body))
    assert other["error"]["param"] is None
    assert "param" not in json.loads(bytes(error_response(error, "/generate").body))["error"]


def test_neither_the_message_nor_the_field_can_be_made_long() -> None:
    error = errors.ValidationError("m" * 10**6, param="p" * 10**6)
    assert len(bytes(error_response(error, "/v1/models").body)) < 5_000
