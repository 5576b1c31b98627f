"""Reads the versions of the tools that a conversion uses."""

from importlib.metadata import PackageNotFoundError, version

TOOLS = ("openvino", "openvino-genai", "openvino-tokenizers", "nncf", "tokenizers", "optimum-intel", "transformers")


def tool_versions(*, with_torch: bool) -> dict[str, str]:
    """What is installed of the tools; those of the torch way only where it was taken."""
    names = TOOLS if with_torch else tuple(name for name in TOOLS if name not in ("optimum-intel", "transformers"))
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
