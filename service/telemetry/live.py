"""The metrics that are read when somebody asks: how each model is now."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """How a model is now.

    running: its requests in the engine. waiting: those admitted that are not. cache_ratio: the part of
    the KV cache that running requests hold, None when the engine doesn't say.
    """

    is_ready: bool
    restarts: int
    running: int
    waiting: int
    cache_ratio: float | None


class ModelStates(Collector):
    """Asks each watched model."""

    def __init__(self) -> None:
        self._models: dict[str, Callable[[], ModelState]] = {}

    def watch(self, model: str, state: Callable[[], ModelState]) -> None:
        """Ask this one too."""
        self._models[model] = state

    def collect(self) -> Iterable[Metric]:
        """What prometheus-client calls."""
        ready = GaugeMetricFamily(
            "tiber_engine_ready", "Whether the model's engine can answer: 1 or 0.", labels=["model"]
        )
        restarts = CounterMetricFamily(
            "tiber_engine_restarts", "Restarts of the engine process after it died.", labels=["model"]
        )
        running = GaugeMetricFamily("tiber_running_requests", "Requests in the engine.", labels=["model"])
        waiting = GaugeMetricFamily(
            "tiber_waiting_requests", "Requests admitted, but not in the engine yet.", labels=["model"]
        )
        cache = GaugeMetricFamily(
            "tiber_kv_cache_usage_ratio",
            "The part of the KV cache that running requests hold, from 0 to 1.",
            labels=["model"],
        )
        for name, read in self._models.items():
            state = read()
            ready.add_metric([name], state.is_ready)
            restarts.add_metric([name], state.restarts)
            running.add_metric([name], state.running)
            waiting.add_metric([name], state.waiting)
            if state.cache_ratio is not None:
                cache.add_metric([name], state.cache_ratio)
        return (ready, restarts, running, waiting, cache)
