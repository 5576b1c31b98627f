"""The endpoint of monitoring: Prometheus' text."""

from collections.abc import Callable

from fastapi import APIRouter
from starlette.responses import Response

from service.telemetry.metrics import CONTENT_TYPE

METRICS_PATH = "/metrics"


def metrics_router(text: Callable[[], bytes]) -> APIRouter:
    """The route /metrics."""
    router = APIRouter(tags=["operations"])

    # Not `async`, so in a thread: the text of several models takes longer than the event loop has.
    @router.get(METRICS_PATH)
    def metrics() -> Response:
        """All metrics."""
        return Response(text(), media_type=CONTENT_TYPE)

    return router
