"""The playground's files over plain HTTP."""

from pathlib import Path

import httpx
import pytest

from service.api.playground import PLAYGROUND_PATHS
from tests.support.browser import STATIC
from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model


@pytest.mark.parametrize("path", sorted(PLAYGROUND_PATHS))
def test_the_page_and_its_assets_need_no_token(fake_server: RunningServer, path: str) -> None:
    response = httpx.get(fake_server.url + path)
    assert response.status_code == 200
    assert response.content
    assert response.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    head = httpx.head(fake_server.url + path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == response.headers["content-length"]


def test_both_addresses_have_the_same_page(fake_server: RunningServer) -> None:
    assert httpx.get(f"{fake_server.url}/").content == httpx.get(f"{fake_server.url}/ui").content


def test_what_the_browser_still_has_is_not_sent_again(fake_server: RunningServer) -> None:
    url = f"{fake_server.url}/ui/app.js"
    etag = httpx.get(url).headers["etag"]
    for sent in (etag, f"W/{etag}", f'"other", {etag}'):
        response = httpx.get(url, headers={"If-None-Match": sent})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == etag
    assert httpx.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


def test_every_file_of_the_playground_is_served() -> None:
    files = {"/" if path.name == "index.html" else f"/ui/{path.name}" for path in STATIC.iterdir()}
    assert files | {"/ui"} == PLAYGROUND_PATHS


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/"), ("POST", "/ui"), ("DELETE", "/ui/app.js"), ("GET", "/ui/none.js")]
)
def test_everything_else_below_the_page_needs_a_token(
    fake_server: RunningServer, method: str, path: str
) -> None:
    assert httpx.request(method, fake_server.url + path, json={"inputs": "abc"}).status_code == 401


def test_a_banned_address_still_gets_the_page(tiny_model: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, fake_model(tiny_model)) as server:
        for _ in range(5):
            httpx.get(f"{server.url}/info", headers={"Authorization": "Bearer wrong"})
        assert httpx.get(f"{server.url}/info", headers=server.headers).status_code == 403
        assert httpx.post(f"{server.url}/", headers=server.headers, json={}).status_code == 403
        assert httpx.get(f"{server.url}/").status_code == 200
        # Nor does a wrong token on the page count.
        assert httpx.get(f"{server.url}/ui", headers={"Authorization": "Bearer wrong"}).status_code == 200
