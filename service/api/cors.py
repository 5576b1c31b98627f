"""Lets pages of the origins that were named call the API from a browser."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from service.api.responses import status_response

_METHODS = ("GET", "POST", "HEAD", "OPTIONS")
# What a page may read of an answer besides what browsers always allow.
_EXPOSED = (
    "retry-after",
    "warning",
    "x-compute-type",
    "x-generated-tokens",
    "x-inference-time",
    "x-prompt-tokens",
    "x-queue-time",
    "x-request-id",
    "x-time-per-token",
    "x-total-time",
)


class CrossOrigin(CORSMiddleware):
    """The framework's, without cookies and with our shape of errors.

    It stands outside of authentication: a browser asks for permission without the token.
    """

    def __init__(self, app: ASGIApp, *, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=_METHODS,
            # OpenAI's client for JavaScript sends a dozen of its own.
            allow_headers=("*",),
            expose_headers=_EXPOSED,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a browser that asks whether it may."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        refusal = status_response(response.status_code, "this origin, or its method, is not allowed", "")
        refusal.headers["vary"] = response.headers["vary"]
        return refusal
