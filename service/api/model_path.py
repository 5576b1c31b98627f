"""Takes a model's name off the front of a path, so that every endpoint is there for every model."""

import re
from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

# Where the name is kept for the routes and the log.
SCOPE_KEY = "tiber_model"
# xpu_tgi runs one server for each GPU; here one service has them all.
_GPU = re.compile(r"^/gpu\d+(?=/|$)")


class ModelPath:
    """Serves /MODEL/generate and /MODEL/gpu0/generate as /generate of that model, as xpu_tgi has it."""

    def __init__(self, app: ASGIApp, *, models: Collection[str]) -> None:
        self._app = app
        self._models = models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            name = next((name for name in self._models if _is_below(scope["path"], name)), None)
            if name is not None:
                rest = _GPU.sub("", scope["path"][len(name) + 1 :], count=1) or "/"
                scope = {**scope, "path": rest, "raw_path": rest.encode(), SCOPE_KEY: name}
        await self._app(scope, receive, send)


def _is_below(path: str, name: str) -> bool:
    return path == f"/{name}" or path.startswith(f"/{name}/")
