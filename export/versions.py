"""Reads the versions of the tools that a conversion uses."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

TOOLS = ("openvino", "openvino-genai", "openvino-tokenizers", "nncf", "tokenizers")
TORCH_TOOLS = ("torch", "transformers", "optimum-intel")


def tool_versions(*, with_torch: bool) -> dict[str, str]:
    """What is installed of the tools; those of the torch way only where it was taken."""
    return installed_versions(TOOLS + (TORCH_TOOLS if with_torch else ()))


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """The versions of those of the packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
