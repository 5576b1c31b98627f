"""Asks the guard before anything of a request is read."""

from collections.abc import Sequence
from contextlib import ExitStack

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.body_limit import refuse_unread
from service.api.metrics import METRICS_PATH
from service.api.model_path import ORIGINAL_PATH, SCOPE_KEY
from service.api.public import is_public
from service.auth.guard import AuthGuard, Identity
from service.errors import TiberError

# Who was let in, for the routes and the log.
IDENTITY = "tiber_identity"
# The address that the request counts for, public paths included, for the log.
ADDRESS = "tiber_address"


class Authentication:
    """Lets only known tokens past, but for the public paths.

    What is let in holds its token's place until its answer is sent or its client left. A rate counts the
    requests to guarded paths: the probes of monitoring and the playground's files are free.
    """

    def __init__(self, app: ASGIApp, *, guard: AuthGuard, guards_metrics: bool) -> None:
        self._app = app
        self._guard = guard
        self._guards_metrics = guards_metrics
        self._forwarding_header = guard.forwarding_header.lower().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises:
            RuntimeError: it is of a protocol that the service hasn't; a WebSocket is closed instead.
        """
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "not served here"})
        else:
            raise RuntimeError(f"nothing is served over {scope['type']}")

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        authorization, forwarding = self._read(scope)
        client = scope.get("client")
        peer = client[0] if client else None
        scope[ADDRESS] = self._guard.address(peer, forwarding)
        if not self._is_guarded(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        with ExitStack() as held:
            try:
                identity = await self._guard.check(
                    authorization=authorization, peer=peer, forwarding=forwarding
                )
                held.enter_context(self._guard.place(identity))
            except TiberError as error:
                await refuse_unread(error, scope, receive, send)
                return
            scope[IDENTITY] = identity
            if identity.max_concurrent is not None:
                send = _leaving_first(held, send)
            await self._app(_as_allowed(scope, identity), receive, send)

    def _read(self, scope: Scope) -> tuple[str | None, Sequence[str]]:
        """The Authorization header, and the lines of the forwarding header."""
        authorizations: list[str] = []
        forwarding: list[str] = []
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorizations.append(value.decode("latin-1"))
            elif name == self._forwarding_header:
                forwarding.append(value.decode("latin-1"))
        # Of two, a proxy may have checked the other one: together they are malformed.
        return ", ".join(authorizations) if authorizations else None, forwarding

    def _is_guarded(self, method: str, path: str) -> bool:
        return not is_public(method, path) or (self._guards_metrics and path == METRICS_PATH)


def _leaving_first(held: ExitStack, send: Send) -> Send:
    """Give the place back before the last bytes: whoever has them may ask again at once."""

    async def leave_then_send(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            held.close()
        await send(message)

    return leave_then_send


def _as_allowed(scope: Scope, identity: Identity) -> Scope:
    """The request, with the path of a model the token may not use as if no such model were here."""
    if SCOPE_KEY not in scope or not identity.models or scope[SCOPE_KEY] in identity.models:
        return scope
    path = scope[ORIGINAL_PATH]
    unknown = {**scope, "path": path, "raw_path": path.encode()}
    del unknown[SCOPE_KEY], unknown[ORIGINAL_PATH]
    return unknown
