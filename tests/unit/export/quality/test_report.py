import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from quality_fakes import some_report

from export.quality import plots
from export.quality.markdown import render
from export.quality.publication import failures, write_all
from export.quality.report import LayerGroup, read_report


def test_a_report_reads_back_as_written_with_its_figures_beside_it(tmp_path: Path) -> None:
    report = some_report()
    write_all(report, tmp_path)
    assert read_report(tmp_path) == report
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "report.md", *plots.FILES}
    for name in plots.FILES:
        assert ElementTree.parse(tmp_path / name).getroot().tag.endswith("svg")


def test_the_same_report_draws_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_all(some_report(), tmp_path / name)
    for name in plots.FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_readable_report_names_its_figures_and_every_measure() -> None:
    text = render(some_report())
    assert set(re.findall(r"\]\((.*?)\)", text)) == set(plots.FILES)
    for part in (
        "Within every limit",
        "14.000",
        "1.0070",
        "98.00%",
        "20.0 of 32",
        "1 of 2",
        "KV_CACHE_PRECISION=f16",
    ):
        assert part in text
    assert "By kind" in text
    assert "group of layers" not in text


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    group = LayerGroup(
        group="head", weights=28_000_000, kl_mean=0.001, rms_logit_error=0.07, top1_agreement=0.97
    )
    text = render(some_report().model_copy(update={"layers": [group]}))
    assert "| head | 28.0 M | 0.00100 |" in text
    for table in re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_a_failure_says_what_was_measured_and_what_was_allowed() -> None:
    report = some_report(passed=False)
    assert failures(report) == (
        "tiny in INT8 is too far from its source: KL divergence, mean 0.0100 (at most 0.0010)"
    )
    assert "Not accepted" in render(report)
    assert "--accept" in render(report.model_copy(update={"accepted": True}))


@pytest.mark.parametrize("content", ["", "{}", '{"schema_version": 2}'])
def test_a_report_of_another_version_is_none(tmp_path: Path, content: str) -> None:
    assert read_report(tmp_path) is None
    (tmp_path / "report.json").write_text(content)
    assert read_report(tmp_path) is None
