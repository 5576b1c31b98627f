"""Names what can run a source model."""

from typing import Literal

Runtime = Literal["transformers", "openvino"]
