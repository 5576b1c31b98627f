"""Takes a model's name off the front of a path, so that every endpoint is there for every model."""

import re
from collections.abc import Collection, Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

# Where the name is kept for the routes and the log.
SCOPE_KEY = "tiber_model"
# The model that the routes chose, whichever way it was named, for the log.
ANSWERING = "tiber_answering"
# The path as the client sent it, for what it is told.
ORIGINAL_PATH = "tiber_path"
# xpu_tgi runs one server for each GPU; here one service has them all.
_GPU = re.compile(r"^/gpu\d+(?=/|$)")


def is_free(name: str, paths: Iterable[str]) -> bool:
    """Whether a model of that name would hide none of `paths`, and have paths of its own."""
    first, *rest = name.split("/")
    taken = {path.split("/")[1] for path in paths}
    return first not in taken and all((first, *rest))


def below_model(paths: Iterable[str]) -> re.Pattern[str]:
    """What finds the name in a path that would be one of `paths` below a model, were it here."""
    endpoints = "|".join(re.escape(path) for path in sorted({path for path in paths if len(path) > 1}))
    return re.compile(rf"/(.+?)(?:/gpu\d+)?(?:{endpoints})")


class ModelPath:
    """Serves /MODEL/generate and /MODEL/gpu0/generate as /generate of that model, as xpu_tgi has it."""

    def __init__(self, app: ASGIApp, *, models: Collection[str]) -> None:
        self._app = app
        # The longest first: a name may begin with another one.
        self._models = sorted(models, key=len, reverse=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            name = next((name for name in self._models if _is_below(scope["path"], name)), None)
            if name is not None:
                original = scope["path"]
                rest = _GPU.sub("", scope["path"][len(name) + 1 :], count=1) or "/"
                scope = {
                    **scope,
                    "path": rest,
                    "raw_path": rest.encode(),
                    SCOPE_KEY: name,
                    ORIGINAL_PATH: original,
                }
        await self._app(scope, receive, send)


def _is_below(path: str, name: str) -> bool:
    return path == f"/{name}" or path.startswith(f"/{name}/")
