"""Reads the versions of the tools that a conversion uses."""

from importlib.metadata import PackageNotFoundError, version

TOOLS = ("openvino", "openvino-genai", "openvino-tokenizers", "nncf", "tokenizers")
TORCH_TOOLS = ("torch", "transformers", "optimum-intel")


def tool_versions(*, with_torch: bool) -> dict[str, str]:
    """What is installed of the tools; those of the torch way only where it was taken."""
    found = {}
    for name in TOOLS + (TORCH_TOOLS if with_torch else ()):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
