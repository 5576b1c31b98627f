"""The table of metrics, the dashboard and the alert rules name what the server really has."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.exposition import Exposition, Family
from tests.support.server import RunningServer

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "metrics.md").read_text(encoding="utf-8")
DASHBOARD = json.loads((DOCS / "grafana" / "tiber-serve.json").read_text(encoding="utf-8"))
RULES = [
    rule
    for group in yaml.safe_load((DOCS / "prometheus" / "rules.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
# Given by Prometheus to what it scrapes.
_SCRAPE_LABELS = {"instance", "job"}

_STRING = re.compile(r'"[^"]*"')
_METRIC = re.compile(r"(?<![\w:])((?:tiber|tgi)_\w+)(?:\{([^}]*)\})?")
_RECORDED = re.compile(r"(?<![\w:])(\w+:\w+:\w+)")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\bby\s*\(([^)]*)\)")


@pytest.fixture(scope="module")
def exposition(fake_server: RunningServer) -> Exposition:
    """After a few requests, so that each metric has a sample."""
    with fake_server.client() as client:
        for inputs in ("abc", "<|full|>"):
            client.post("/generate", json={"inputs": inputs, "parameters": {"max_new_tokens": 3}})
    httpx.get(f"{fake_server.url}/info")
    return Exposition.of(fake_server.url)


def panels() -> Iterable[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    variables = [
        variable["definition"] for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"
    ]
    return [*shown, *variables, *(rule["expr"] for rule in RULES)]


def labels_of(expression: str, exposition: Exposition, recorded: dict[str, str]) -> dict[str, set[str]]:
    """All labels that the metrics of an expression have; a recorded one has those of its own expression."""
    labels: dict[str, set[str]] = {}
    for name, _ in _METRIC.findall(_STRING.sub('""', expression)):
        for label, values in exposition.label_values(name).items():
            labels.setdefault(label, set()).update(values)
    for name in _RECORDED.findall(expression):
        labels |= labels_of(recorded[name], exposition, recorded)
    return labels


@pytest.mark.parametrize("expression", expressions())
def test_expressions_use_metrics_and_labels_that_exist(expression: str, exposition: Exposition) -> None:
    recorded = {rule["record"]: rule["expr"] for rule in RULES if "record" in rule}
    found = _METRIC.findall(expression)
    assert found or _RECORDED.search(expression)
    for name, matchers in found:
        assert name in exposition.sample_names()
        values = exposition.label_values(name)
        for label, operator, wanted in _MATCHER.findall(matchers):
            assert label in values, f"{name} has no label {label}"
            alternatives = wanted.split("|") if "~" in operator else [wanted]
            unknown = {one for one in alternatives if not one.startswith("$")} - values[label]
            assert not unknown, f"{name} never has {label} = {unknown}"
    known = labels_of(expression, exposition, recorded).keys() | _SCRAPE_LABELS
    for grouping in _GROUPING.findall(expression):
        assert {label.strip() for label in grouping.split(",")} <= known
    assert set(_RECORDED.findall(expression)) <= recorded.keys()


def test_legends_use_labels_that_their_expressions_keep() -> None:
    for panel in panels():
        for target in panel["targets"]:
            used = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", target["legendFormat"]))
            kept = {name.strip() for names in _GROUPING.findall(target["expr"]) for name in names.split(",")}
            assert used <= kept, panel["title"]


def test_alerts_use_labels_that_their_expressions_have(exposition: Exposition) -> None:
    recorded = {rule["record"]: rule["expr"] for rule in RULES if "record" in rule}
    for rule in RULES:
        if "alert" in rule:
            used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
            assert used <= labels_of(rule["expr"], exposition, recorded).keys() | _SCRAPE_LABELS, rule[
                "alert"
            ]


def test_the_dashboard_can_be_imported_anywhere() -> None:
    assert DASHBOARD["id"] is None
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in panels():
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {source["uid"] for source in sources} == {"${datasource}"}
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {"datasource", "model"}


def test_the_table_of_metrics_is_what_the_server_says(exposition: Exposition) -> None:
    shown = PAGE.split("<!-- metrics -->\n")[1].split("\n<!-- /metrics -->")[0]
    assert shown == table(exposition.families())


def table(families: Iterable[Family]) -> str:
    rows = ["| metric | type | labels | unit | meaning |", "| --- | --- | --- | --- | --- |"]
    for family in families:
        labels = ", ".join(f"`{label}`" for label in family.label_values)
        rows.append(
            f"| `{family.name}` | {family.type} | {labels} | {unit(family.name)} | {family.meaning} |"
        )
    return "\n".join(rows)


def unit(name: str) -> str:
    endings = {"seconds": "s", "duration": "s", "tokens": "tokens", "length": "tokens", "ratio": "0 to 1"}
    last = name.removesuffix("_total").rsplit("_", 1)[1]
    return endings.get(last, "")


def test_the_page_names_every_value_of_a_label(exposition: Exposition) -> None:
    for family in exposition.families():
        for label in family.label_values.keys() & {"outcome", "reason", "err"}:
            missing = {value for value in family.label_values[label] if f"`{value}`" not in PAGE}
            assert not missing, f"{family.name}: {missing}"
