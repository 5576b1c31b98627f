"""Counts the HTTP answers."""

from prometheus_client import CollectorRegistry, Counter

# By status; a status that isn't here refuses nothing. Paths outside the API are no reason to worry.
REJECTIONS = {
    400: "validation",
    401: "unauthorized",
    403: "banned",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    429: "overloaded",
    503: "unavailable",
}
_NO_ROUTE = "none"
# What 403 means to whom brought a right token.
FORBIDDEN = "forbidden"


class AnswerRecorder:
    """Counts answers by route and status, and the refused requests by reason."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._answers = Counter(
            "tiber_http_requests_total",
            f"HTTP requests answered; the route is `{_NO_ROUTE}` where none was reached.",
            ("route", "status"),
            registry=registry,
        )
        rejections = Counter(
            "tiber_rejected_requests_total",
            "HTTP requests refused, by reason; the probes of monitoring not included.",
            ("reason",),
            registry=registry,
        )
        self._rejections = {status: rejections.labels(reason) for status, reason in REJECTIONS.items()}
        self._forbidden = rejections.labels(FORBIDDEN)

    def answered(self, *, route: str | None, status: int, is_probe: bool, is_known: bool) -> None:
        """An answer was sent; `route` is the path with the names of its parameters, as the code has it.

        `is_known`: a right token came with the request.
        """
        self._answers.labels(route or _NO_ROUTE, str(status)).inc()
        if status == 403 and is_known:
            self._forbidden.inc()
        elif status in self._rejections and not is_probe:
            self._rejections[status].inc()
