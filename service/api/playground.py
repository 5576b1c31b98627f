"""Serves the playground: a static page that talks to this service's own endpoints."""

import hashlib
from collections.abc import Awaitable, Callable
from importlib import resources

from fastapi import APIRouter, Request
from starlette.responses import Response

# By name: a file that merely lies in the folder is never served.
_PAGE = "index.html"
_ASSETS = {
    "app.js": "text/javascript",
    "chat.js": "text/javascript",
    "composer.js": "text/javascript",
    "connection.js": "text/javascript",
    "exchange.js": "text/javascript",
    "images.js": "text/javascript",
    "page.js": "text/javascript",
    "parameters.js": "text/javascript",
    "service.js": "text/javascript",
    "theme.js": "text/javascript",
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
}
_FILES = {"/": _PAGE, "/ui": _PAGE} | {f"/ui/{name}": name for name in _ASSETS}

PLAYGROUND_PATHS = frozenset(_FILES)

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    # Kept, but asked for anew each time: after an upgrade no old script meets a new page.
    "cache-control": "no-cache",
}


def playground_router() -> APIRouter:
    """The page under / and /ui, its assets below /ui; each is read here, once."""
    router = APIRouter(tags=["playground"])
    for path, name in _FILES.items():
        endpoint = _endpoint(name)
        router.add_api_route(path, endpoint, methods=["GET"], include_in_schema=name == _PAGE)
        router.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
    return router


def _endpoint(name: str) -> Callable[[Request], Awaitable[Response]]:
    content = (resources.files("service.api") / "static" / name).read_bytes()
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {**_HEADERS, "etag": etag}

    async def serve(request: Request) -> Response:
        if etag in _known_etags(request):
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=_ASSETS.get(name, "text/html"))

    return serve


def _known_etags(request: Request) -> list[str]:
    """What the client still has; a proxy that compresses marks the tag as weak (`W/`)."""
    header = request.headers.get("if-none-match", "")
    return [etag.strip().removeprefix("W/") for etag in header.split(",")]
