"""Writes Hugging Face checkpoints for vLLM on Gaudi, which OpenVINO has no device for."""
