"""Writes a report for a person to read."""

from collections.abc import Iterable

from export.quality.plots import GREEDY_FILE, KINDS_FILE, KL_FILE
from export.quality.report import Check, LayerGroup, Measures, Report, Runner
from export.resources import readable

NAMES = {
    "kl_mean": "KL divergence, mean",
    "perplexity_ratio": "Perplexity ratio",
    "confident_agreement": "Same first token where the source is sure",
    "top1_agreement": "Same first token",
}
SHARES = ("confident_agreement", "top1_agreement")


def render(report: Report) -> str:
    """The whole report.md."""
    parts = [
        f"# Quality of {report.model}, {report.weight_format.upper()}",
        _verdict(report),
        "## Limits",
        _table(("Measure", "Measured", "Limit", "", "Why this limit"), map(_check_row, report.checks)),
        "## Measures",
        _measures(report),
        f"![Histogram of KL divergence]({KL_FILE})",
        "## By kind of text",
        _table(
            ("Text", "Positions", "Perplexity, source", "Ratio", "KL mean", "KL p99", "Same first token"),
            (_kind_row(kind, measures) for kind, measures in report.by_kind.items()),
        ),
        f"![Agreement by kind of text]({KINDS_FILE})",
        "## Greedy answers",
        f"![Greedy agreement]({GREEDY_FILE})",
        *(_layers(report.layers) if report.layers is not None else ()),
        "## The two models",
        _table(
            ("", "Runtime", "Device", "Computes in", "On disk", "Reading, tokens/s", "Writing, tokens/s"),
            (_runner_row("source", report.reference), _runner_row("converted", report.converted)),
        ),
        _circumstances(report),
    ]
    return "\n\n".join(parts) + "\n"


def shown(measure: str, value: float) -> str:
    """A measured value in the form that fits it."""
    return f"{100 * value:.2f}%" if measure in SHARES else f"{value:.4f}"


def describe_check(check: Check) -> str:
    """`KL divergence, mean 0.1043 (at most 0.1000)`."""
    limit = shown(check.measure, check.limit)
    return f"{NAMES[check.measure]} {shown(check.measure, check.value)} (at {check.at} {limit})"


def _verdict(report: Report) -> str:
    if report.passed:
        return "**Within every limit.**"
    failed = "; ".join(describe_check(check) for check in report.checks if not check.passed)
    tail = "Published all the same: `--accept`." if report.accepted else "Not accepted."
    return f"**Beyond its limits:** {failed}. {tail}"


def _measures(report: Report) -> str:
    measures, greedy = report.measures, report.greedy
    rows = (
        ("Perplexity, source", f"{measures.source_perplexity:.3f}"),
        ("Perplexity, converted", f"{measures.converted_perplexity:.3f}"),
        ("Perplexity ratio", f"{measures.perplexity_ratio:.4f}"),
        ("KL(source \\|\\| converted), mean, nats", f"{measures.kl_mean:.5f}"),
        ("KL(source \\|\\| converted), 99th percentile", f"{measures.kl_p99:.4f}"),
        ("Same first token (top-1 agreement)", shown("top1_agreement", measures.top1_agreement)),
        (
            f"Same first token where the source is sure ({100 * measures.confident_share:.0f}% of positions)",
            shown("confident_agreement", measures.confident_agreement),
        ),
        (
            f"Agreeing greedy prefix, mean of {len(greedy.lengths)} prompts",
            f"{greedy.mean:.1f} of {greedy.limit} tokens",
        ),
        ("Greedy answers the same to the end", f"{greedy.whole} of {len(greedy.lengths)}"),
        ("Positions compared", f"{measures.positions}"),
    )
    return _table(("Measure", "Value"), rows)


def _check_row(check: Check) -> tuple[str, ...]:
    return (
        NAMES[check.measure],
        shown(check.measure, check.value),
        f"at {check.at} {shown(check.measure, check.limit)}",
        "within" if check.passed else "**beyond**",
        check.reason,
    )


def _kind_row(kind: str, measures: Measures) -> tuple[str, ...]:
    return (
        kind,
        str(measures.positions),
        f"{measures.source_perplexity:.2f}",
        f"{measures.perplexity_ratio:.4f}",
        f"{measures.kl_mean:.5f}",
        f"{measures.kl_p99:.4f}",
        shown("top1_agreement", measures.top1_agreement),
    )


def _layers(groups: list[LayerGroup]) -> tuple[str, ...]:
    rows = (
        (
            group.group,
            f"{group.weights / 1e6:.1f} M",
            f"{group.kl_mean:.5f}",
            f"{group.rms_logit_error:.4f}",
            shown("top1_agreement", group.top1_agreement),
        )
        for group in groups
    )
    return (
        "## Error by group of layers",
        "What the weights of one group alone bring, all others being the source's; in float32.",
        _table(("Group", "Weights", "KL mean", "Logit error, RMS", "Same first token"), rows),
    )


def _runner_row(name: str, runner: Runner) -> tuple[str, ...]:
    return (
        name,
        runner.runtime,
        runner.device,
        runner.dtype,
        readable(runner.size_bytes),
        f"{runner.prefill_tokens_per_s:.0f}",
        f"{runner.decode_tokens_per_s:.1f}",
    )


def _circumstances(report: Report) -> str:
    texts, machine = report.texts, report.machine
    properties = ", ".join(f"{name}={value}" for name, value in report.converted.properties.items())
    source, reference = report.source, report.reference
    version = source.revision or source.sha256
    return "\n".join(
        (
            f"- Source: {source.kind} {source.identity}" + (f" ({version})" if version else ""),
            f"- Compared with {report.against}, run by {reference.runtime} in {reference.dtype}",
            f"- Converted {report.converted_at:%Y-%m-%d %H:%M} UTC, compared "
            f"{report.verified_at:%Y-%m-%d %H:%M} UTC in {report.seconds:.0f} s",
            f"- Texts: {texts.passages} passages, {texts.tokens} tokens, {texts.cut} cut at "
            f"{texts.max_tokens}; set {texts.sha256[:12]}",
            f"- The converted model ran with {properties or 'its own defaults'}",
            f"- Machine: {machine.processor}, {machine.cores} cores, load {machine.load:.1f} at the end: "
            "the speeds are of this machine under that load",
            "- Tools: " + ", ".join(f"{name} {version}" for name, version in report.tool_versions.items()),
        )
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
