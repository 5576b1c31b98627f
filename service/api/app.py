"""Puts the HTTP application together."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache

import msgspec
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from service.api.authentication import Authentication
from service.api.body_limit import BodyLimit
from service.api.cors import CrossOrigin
from service.api.disconnect import ClientGoneError
from service.api.generate import generate_router
from service.api.invalid import describe_invalid, param_of
from service.api.invocations import invocations_router
from service.api.metrics import metrics_router
from service.api.model_path import ORIGINAL_PATH, ModelPath, below_model
from service.api.openai.chat import chat_router
from service.api.openai.completions import completions_router
from service.api.openai.models import models_router
from service.api.openapi import OPENAPI_PATH, document
from service.api.openapi_endpoints import ENDPOINTS
from service.api.operations import operations_router
from service.api.playground import playground_router
from service.api.request_context import RequestContext
from service.api.responses import error_response, status_response
from service.api.state import Service
from service.api.tokens import tokens_router
from service.api.trace_context import TraceContext
from service.errors import TiberError

_BELOW_MODEL = below_model(path for _, path in ENDPOINTS)
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_log = structlog.get_logger("server")

# Nginx's word for a client that left; nobody reads it but the log.
_CLIENT_GONE_STATUS = 499


def create_app(service: Service) -> FastAPI:
    """Build the application; its lifespan starts and stops the engines."""
    app = FastAPI(
        title="tiber-serve",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan(service),
        redirect_slashes=False,
    )
    _add_routes(app, service)
    _add_middleware(app, service)
    _add_error_handlers(app, service)
    return app


def _lifespan(service: Service) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None, None]:
        for model in service.models.values():
            await model.start()
        runs = (service.metrics.event_loop.run, *service.background)
        background = [asyncio.ensure_future(_log_end(run)) for run in runs]
        try:
            yield
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            for model in service.models.values():
                await model.stop()
            if service.tracing is not None:
                # It may wait for the collector.
                await asyncio.to_thread(service.tracing.stop)

    return lifespan


async def _log_end(run: Callable[[], Awaitable[None]]) -> None:
    """Nobody waits for what runs in the background: the log has to tell when it dies."""
    try:
        await run()
    except Exception:  # noqa: BLE001 - the task's border
        _log.exception("background_task_died", task=getattr(run, "__qualname__", repr(run)))


def _add_routes(app: FastAPI, service: Service) -> None:
    app.include_router(generate_router(service))
    app.include_router(tokens_router(service))
    app.include_router(chat_router(service))
    app.include_router(completions_router(service))
    app.include_router(models_router(service))
    app.include_router(invocations_router(service))
    app.include_router(operations_router(service))
    if service.serves_metrics:
        app.include_router(metrics_router(service.metrics.text))
    app.include_router(playground_router())
    app.get(OPENAPI_PATH)(_openapi_endpoint(app))


def _add_middleware(app: FastAPI, service: Service) -> None:
    # The last one added is the first one a request meets.
    app.add_middleware(BodyLimit, max_bytes=service.max_body_bytes, limits=service.limits)
    app.add_middleware(Authentication, guard=service.guard, guards_metrics=service.guards_metrics)
    app.add_middleware(RequestContext, observer=service.metrics.answers)
    app.add_middleware(ModelPath, models=service.models)
    if service.cors_origins:
        app.add_middleware(CrossOrigin, origins=service.cors_origins)
    if service.tracing is not None:
        app.add_middleware(TraceContext, tracing=service.tracing)


def _openapi_endpoint(app: FastAPI) -> Callable[[], Response]:
    @cache
    def encoded() -> bytes:
        return msgspec.json.encode(document(app))

    # Not `async`, so in a thread: making the document takes longer than the event loop has.
    def openapi() -> Response:
        """This document."""
        return Response(encoded(), media_type="application/json")

    return openapi


def _add_error_handlers(app: FastAPI, service: Service) -> None:
    @app.exception_handler(TiberError)
    async def ours(request: Request, error: TiberError) -> Response:
        return error_response(error, request.url.path)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        found = error.errors()
        message, param = describe_invalid(found, error.body), param_of(found, error.body)
        return status_response(400, message, request.url.path, param=param)

    @app.exception_handler(HTTPException)
    async def frameworks(request: Request, error: HTTPException) -> Response:
        path = request.scope.get(ORIGINAL_PATH, request.url.path)
        named = _BELOW_MODEL.fullmatch(path) if error.status_code == 404 else None
        if named:
            return error_response(service.no_such_model(request, named[1]), request.url.path)
        response = status_response(error.status_code, _explain(request, error, path), request.url.path)
        response.headers.update(error.headers or {})
        if error.status_code == 405:
            response.headers["allow"] = _allowed_methods(app, request)
        return response

    @app.exception_handler(ClientGoneError)
    async def gone(_request: Request, _error: ClientGoneError) -> Response:
        return Response(status_code=_CLIENT_GONE_STATUS)


def _allowed_methods(app: FastAPI, request: Request) -> str:
    """All methods of a path; the framework names those of the first router that has it."""
    return ", ".join(
        method
        for method in _METHODS
        for scope in ({**request.scope, "method": method},)
        if any(route.matches(scope)[0] is Match.FULL for route in app.routes)
    )


def _explain(request: Request, error: HTTPException, path: str) -> str:
    if error.status_code == 404:
        return f"no such path: {path}"
    if error.status_code == 405:
        return f"{request.method} is not allowed on {path}"
    return str(error.detail)
