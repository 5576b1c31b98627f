"""Puts the HTTP application together."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.api.disconnect import ClientGoneError
from service.api.generate import generate_router
from service.api.mapping import describe_invalid
from service.api.middleware import Authentication, BodyLimit, RequestContext
from service.api.operations import operations_router
from service.api.responses import error_response, status_response
from service.api.state import Service
from service.errors import TiberError

# Nginx's word for a client that left; nobody reads it but the log.
_CLIENT_GONE_STATUS = 499


def create_app(service: Service) -> FastAPI:
    """Build the application; its lifespan starts and stops the engines."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None, None]:
        for model in service.models.values():
            await model.start()
        try:
            yield
        finally:
            for model in service.models.values():
                await model.stop()

    app = FastAPI(
        title="tiber-serve",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.include_router(generate_router(service))
    app.include_router(operations_router(service))
    # The last one added is the first one a request meets.
    app.add_middleware(BodyLimit, max_bytes=service.max_body_bytes)
    app.add_middleware(Authentication, check=service.guard.check)
    app.add_middleware(RequestContext)
    _add_error_handlers(app)
    return app


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(TiberError)
    async def ours(_request: Request, error: TiberError) -> Response:
        return error_response(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        return status_response(400, describe_invalid(error.errors()))

    @app.exception_handler(HTTPException)
    async def frameworks(request: Request, error: HTTPException) -> Response:
        response = status_response(error.status_code, _explain(request, error))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(ClientGoneError)
    async def gone(_request: Request, _error: ClientGoneError) -> Response:
        return Response(status_code=_CLIENT_GONE_STATUS)


def _explain(request: Request, error: HTTPException) -> str:
    if error.status_code == 404:
        return f"no such path: {request.url.path}"
    if error.status_code == 405:
        return f"{request.method} is not allowed on {request.url.path}"
    return str(error.detail)
