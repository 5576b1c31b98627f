import pytest

from export.errors import ConversionError
from export.hub import fetch_hub_folder
from export.sources import HubSource


def test_without_a_network_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants", reason="huggingface_hub is not installed")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConversionError) as caught:
        fetch_hub_folder(HubSource(repo_id="org/name", revision="v1"))
    assert "org/name at revision v1 can't be fetched" in caught.value.message
    assert "check the network, or name a model folder" in caught.value.message
    assert "\n" not in caught.value.message
