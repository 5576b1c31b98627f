"""What a run came to, as one JSON object for a pipeline."""

import json
from pathlib import Path
from typing import Any, Literal

from service.manifest import read_manifest

Status = Literal["converted", "already-converted", "failed"]
Verdict = Literal["passed", "accepted", "failed"]
REPORT_FILE = "report.json"


def success(status: Status, folder: Path, seconds: float, pushed: str | None) -> str:
    """One line: the folder, its manifest, and its quality report where there is one."""
    manifest = read_manifest(folder).model_dump(mode="json", exclude={"image_limits", "tool_versions"})
    return _line(
        status, folder=str(folder), manifest=manifest, report=_report(folder), pushed=pushed, seconds=seconds
    )


def failure(message: str, exit_code: int, seconds: float) -> str:
    """One line: what went wrong, in the words that a person gets."""
    return _line("failed", error={"message": message, "exit_code": exit_code}, seconds=seconds)


def _line(status: Status, *, seconds: float, **fields: Any) -> str:  # noqa: ANN401 - what JSON takes
    empty = dict.fromkeys(("folder", "manifest", "report", "pushed", "error"))
    return json.dumps({"status": status, **empty, **fields, "seconds": round(seconds, 3)}, ensure_ascii=False)


def _report(folder: Path) -> dict[str, Any] | None:
    path = folder / REPORT_FILE
    if not path.is_file():
        return None
    content = json.loads(path.read_bytes())
    return {"path": str(path), "verdict": verdict(content), "measures": content.get("measures")}


def verdict(report: dict[str, Any]) -> Verdict | None:
    """What the checks of a quality report came to; None when it has none."""
    checks = report.get("checks")
    if not checks:
        return None
    if all(check["passed"] for check in checks):
        return "passed"
    return "accepted" if report.get("accepted") else "failed"
