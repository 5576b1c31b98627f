"""The inference service: a FastAPI process in front of supervised engine processes."""

import sys

# OpenVINO reports each import of itself to its makers over the network, and needs a home directory for it;
# without this package it does neither.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
