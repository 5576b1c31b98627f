"""Tells from a model's chat template how the model writes tool calls."""

import re
from pathlib import Path

from service.manifest import ToolFormat

# Quoted, or quoted inside a string of the template's own.
_ARGUMENTS = re.compile(r"""["']arguments\\?["']""")
_PARAMETERS = re.compile(r"""["']parameters\\?["']""")
_TOOLS = re.compile(r"\btools\b")


def tool_format(folder: Path) -> ToolFormat | None:
    """The format that the template in `folder` teaches; None without template, tools or a known format."""
    paths = (folder / "additional_chat_templates" / "tool_use.jinja", folder / "chat_template.jinja")
    path = next((path for path in paths if path.is_file()), None)
    return _format(path.read_text(encoding="utf-8")) if path else None


def _format(template: str) -> ToolFormat | None:
    if not _TOOLS.search(template):
        return None
    # Some models put XML of their own inside Hermes' marker: only JSON has quoted keys.
    if "<tool_call>" in template:
        return "hermes" if _ARGUMENTS.search(template) else None
    if "[TOOL_CALLS]" in template or "[AVAILABLE_TOOLS]" in template:
        return "mistral"
    if ("<|python_tag|>" in template or "ipython" in template) and _PARAMETERS.search(template):
        return "llama3"
    return None
