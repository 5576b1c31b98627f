"""A browser on the playground, and what its tests look at."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, Route

from tests.support.server import RunningServer

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / ".cache" / "screenshots"
STATIC = ROOT / "service" / "api" / "static"
QUESTION = "What is gravity?"
LONG = "Tell a very long story about a fox, with many chapters."
PHONE = {"width": 360, "height": 740}
MODEL = "smollm2-135m-instruct"
VISION_MODEL = {"id": "seeing", "task": "image-text-to-text", "max_total_tokens": 1000}
DONE = "data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """An open page; `complaints` are its console's errors, `hosts` those it asked for anything."""

    page: Page
    context: BrowserContext
    server: RunningServer
    complaints: list[str]
    hosts: set[str]

    def expect_complaint(self, part: str) -> None:
        """Take the browser's own line about a refused request off the list."""
        assert any(part in complaint for complaint in self.complaints), self.complaints
        self.complaints[:] = [complaint for complaint in self.complaints if part not in complaint]

    def connect(self, token: str | None = None) -> None:
        self.page.get_by_label("Access token").fill(token or self.server.token)
        self.page.get_by_role("button", name="Connect").click()

    def ask(self, question: str) -> None:
        self.page.get_by_label("Message", exact=True).fill(question)
        self.page.keyboard.press("Enter")

    def shoot(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")

    @property
    def answer(self) -> Any:
        return self.page.locator(".answer .text").last

    def figure(self, name: str) -> str:
        figures = self.page.locator(".figures").last.locator("div")
        value = figures.filter(has=self.page.locator("dt", has_text=name)).locator("dd")
        return value.inner_text()


Open = Callable[..., Visit]


def note(visit: Visit, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        visit.complaints.append(text)


def count_updates(page: Page) -> None:
    page.evaluate(
        """() => {
          globalThis.lengths = [];
          new MutationObserver(() => {
            const length = document.querySelector(".answer .text").textContent.length;
            if (length > (globalThis.lengths.at(-1) ?? 0)) globalThis.lengths.push(length);
          }).observe(document.getElementById("exchanges"), {subtree: true, characterData: true});
        }"""
    )


def outcomes(server: RunningServer, outcome: str) -> float:
    with server.client() as client:
        lines = client.get("/metrics").text.splitlines()
    counts = [line for line in lines if line.startswith("tiber_requests_total") and f'"{outcome}"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in counts)


def wait_for(page: Page, is_true: Callable[[], bool]) -> None:
    for _ in range(100):
        if is_true():
            return
        page.wait_for_timeout(100)
    raise AssertionError("did not come true within 10 s")


def is_too_wide(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def assert_accessible(page: Page) -> None:
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


def serve_canned(page: Page, events: str, *, models: list[dict[str, Any]] | None = None) -> list[Any]:
    """Answer in the service's place; return the list of chat bodies that come to be asked."""
    bodies: list[Any] = []

    def chat(route: Route) -> None:
        bodies.append(route.request.post_data_json)
        route.fulfill(body=events, content_type="text/event-stream")

    page.route("**/v1/chat/completions", chat)
    if models is not None:
        page.route("**/v1/models", lambda route: route.fulfill(json={"object": "list", "data": models}))
    return bodies


def delta(text: str) -> str:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': text}}]})}\n\n"
