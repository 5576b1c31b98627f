"""Fetches models from the Hugging Face hub, or publishes them there when asked to."""

from export.hub.fetch import fetch_hub_folder

__all__ = ["fetch_hub_folder"]
