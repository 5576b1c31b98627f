"""Fixtures of the playground's tests, and the option that records the architectures' figures."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.browser import Open, Visit, note
from tests.support.server import RunningServer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-language-table", action="store_true", help="write the table in docs/text-models.md"
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium: apt-get install --no-install-recommends chromium fonts-dejavu-core")
    # Chromium's sandbox refuses to run as root, which containers are.
    arguments = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, real_server: RunningServer) -> Iterator[Open]:
    """Open the page; in the end it has asked no other host, and complained of nothing unexpected."""
    visits: list[Visit] = []

    def open_page(**options: Any) -> Visit:
        options = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light", **options}
        context = browser.new_context(**options)
        page = context.new_page()
        page.set_default_timeout(15_000)
        visit = Visit(page=page, context=context, server=real_server, complaints=[], hosts=set())
        page.on("console", lambda message: note(visit, message.type, message.text))
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        page.on("request", lambda request: visit.hosts.add(request.url.split("/")[2]))
        visits.append(visit)
        page.goto(real_server.url)
        return visit

    yield open_page
    for visit in visits:
        visit.context.close()
        assert visit.complaints == []
        assert visit.hosts <= {visit.server.url.removeprefix("http://"), ""}  # data: URIs have no host


@pytest.fixture
def visit(open_page: Open) -> Visit:
    return open_page()


@pytest.fixture
def chat(visit: Visit) -> Visit:
    """A page that is connected, with answers that are short and always the same."""
    visit.connect()
    visit.page.get_by_label("Max tokens").fill("40")
    visit.page.get_by_label("Temperature").fill("0")
    return visit
