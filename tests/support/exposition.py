"""What a server's /metrics says."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

# What Prometheus' text format puts in beside a metric's own labels.
_FORMAT_LABELS = {"le"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric; `label_values` are those of its samples."""

    name: str
    type: str
    meaning: str
    label_values: Mapping[str, frozenset[str]]


class Exposition:
    """The metrics as they were at one moment."""

    def __init__(self, text: str) -> None:
        self._families = list(text_string_to_metric_families(text))
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self._families
            for sample in family.samples
        }

    def since(self, earlier: "Exposition") -> "Exposition":
        """What was added meanwhile; gauges stay as they are."""
        gauges = {family.name for family in self._families if family.type == "gauge"}
        added = copy.copy(self)
        added._samples = {
            key: value if key[0] in gauges else value - earlier._samples.get(key, 0)
            for key, value in self._samples.items()
        }
        return added

    @classmethod
    def of(cls, url: str, headers: Mapping[str, str] | None = None) -> "Exposition":
        response = httpx.get(f"{url}/metrics", headers=headers)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
        return cls(response.text)

    def value(self, name: str, **labels: str) -> float:
        return self._samples[name, frozenset(labels.items())]

    def sample_names(self) -> set[str]:
        return {name for name, _ in self._samples}

    def series(self) -> set[tuple[str, frozenset[tuple[str, str]]]]:
        return set(self._samples)

    def label_values(self, sample_name: str) -> dict[str, set[str]]:
        values: dict[str, set[str]] = {}
        for name, labels in self._samples:
            if name == sample_name:
                for label, value in labels:
                    values.setdefault(label, set()).add(value)
        return values

    def families(self) -> list[Family]:
        return [
            Family(
                name=family.name + ("_total" if family.type == "counter" else ""),
                type="untyped" if family.type == "unknown" else family.type,
                meaning=family.documentation,
                label_values={
                    label: frozenset(
                        sample.labels[label] for sample in family.samples if label in sample.labels
                    )
                    for label in sorted({label for sample in family.samples for label in sample.labels})
                    if label not in _FORMAT_LABELS
                },
            )
            for family in self._families
        ]
