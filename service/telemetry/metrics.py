"""All metrics of the service, in a registry of their own."""

import time
from collections.abc import Callable

import prometheus_client

from service.telemetry.answer_recorder import AnswerRecorder
from service.telemetry.auth_store_recorder import AuthStoreRecorder
from service.telemetry.authentication_recorder import AuthenticationRecorder
from service.telemetry.event_loop import EventLoopWatch
from service.telemetry.live import ModelState, ModelStates
from service.telemetry.request_metrics import RequestMetrics
from service.telemetry.request_recorder import RequestRecorder
from service.telemetry.tgi import TGIMetrics

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4


class Metrics:
    """What is measured, and by whom.

    Labels have only values that the code or the operator chose, never a client's: their number is bounded.
    """

    def __init__(self, *, version: str) -> None:
        # When each series began is of no use here, and would be a fifth of the text.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs has no types
        self._registry = prometheus_client.CollectorRegistry()
        self._requests = RequestMetrics(self._registry)
        self._states = ModelStates()
        self._registry.register(self._states)
        self._registry.register(TGIMetrics(self._requests, self._states))
        self.answers = AnswerRecorder(self._registry)
        self.authentication = AuthenticationRecorder(self._registry, time.monotonic)
        self.auth_store = AuthStoreRecorder(self._registry)
        self.event_loop = EventLoopWatch(self._registry)
        prometheus_client.Info(
            "tiber_build", "The version that runs; the value is always 1.", registry=self._registry
        ).info({"version": version})

    def watch_model(self, model: str, state: Callable[[], ModelState]) -> Callable[[], RequestRecorder]:
        """Measure this model too; gives what makes a recorder for each of its requests."""
        self._states.watch(model, state)
        metrics = self._requests.of_model(model)
        return lambda: RequestRecorder(metrics, time.monotonic)

    def text(self) -> bytes:
        """All metrics as Prometheus' text format has them."""
        return prometheus_client.generate_latest(self._registry)
