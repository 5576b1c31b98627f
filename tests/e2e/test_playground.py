"""The playground in a browser, against the default model; its files over plain HTTP."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

from service.api.playground import PLAYGROUND_PATHS
from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model

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
        page.on("console", lambda message: _note(visit, message.type, message.text))
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


def _note(visit: Visit, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        visit.complaints.append(text)


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


def _count_updates(page: Page) -> None:
    page.evaluate(
        """() => {
          globalThis.lengths = [];
          new MutationObserver(() => {
            const length = document.querySelector(".answer .text").textContent.length;
            if (length > (globalThis.lengths.at(-1) ?? 0)) globalThis.lengths.push(length);
          }).observe(document.getElementById("exchanges"), {subtree: true, characterData: true});
        }"""
    )


def _outcomes(server: RunningServer, outcome: str) -> float:
    with server.client() as client:
        lines = client.get("/metrics").text.splitlines()
    counts = [line for line in lines if line.startswith("tiber_requests_total") and f'"{outcome}"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in counts)


def _wait_for(page: Page, is_true: Callable[[], bool]) -> None:
    for _ in range(100):
        if is_true():
            return
        page.wait_for_timeout(100)
    raise AssertionError("did not come true within 10 s")


def _is_too_wide(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def _assert_accessible(page: Page) -> None:
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


def _serve_canned(page: Page, events: str, *, models: list[dict[str, Any]] | None = None) -> list[Any]:
    """Answer in the service's place; return the list of chat bodies that come to be asked."""
    bodies: list[Any] = []

    def chat(route: Route) -> None:
        bodies.append(route.request.post_data_json)
        route.fulfill(body=events, content_type="text/event-stream")

    page.route("**/v1/chat/completions", chat)
    if models is not None:
        page.route("**/v1/models", lambda route: route.fulfill(json={"object": "list", "data": models}))
    return bodies


def _delta(text: str) -> str:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': text}}]})}\n\n"


def test_a_question_is_answered_token_by_token_with_its_figures(chat: Visit) -> None:
    expect(chat.page.get_by_label("Model", exact=True)).to_have_value(MODEL)
    _count_updates(chat.page)
    chat.ask(QUESTION)
    expect(chat.answer).to_have_attribute("aria-busy", "false")
    expect(chat.answer).to_contain_text("ravity")
    assert len(chat.page.evaluate("globalThis.lengths")) > 3
    assert 0 < int(chat.figure("TTFT").removesuffix(" ms")) < 15_000
    assert float(chat.figure("Speed").removesuffix(" tokens/s")) > 0
    assert chat.figure("Answer") == "40 tokens"
    assert int(chat.figure("Prompt").removesuffix(" tokens")) > 5
    assert chat.figure("End") == "cut at the token limit"
    expect(chat.page.get_by_role("status")).to_have_text("Answer complete")
    chat.shoot("light")


def test_stop_ends_a_long_answer_here_and_in_the_service(chat: Visit) -> None:
    cancelled = _outcomes(chat.server, "cancelled")
    chat.page.get_by_label("Max tokens").fill("1500")
    chat.ask(LONG)
    expect(chat.answer).to_contain_text(" ")
    chat.page.get_by_role("button", name="Stop").click()
    expect(chat.answer).to_have_attribute("aria-busy", "false")
    assert chat.figure("End") == "stopped"
    expect(chat.page.get_by_role("button", name="Send")).to_be_focused()
    stopped_at = chat.answer.inner_text()
    _wait_for(chat.page, lambda: _outcomes(chat.server, "cancelled") == cancelled + 1)
    assert chat.answer.inner_text() == stopped_at


def test_whoever_scrolls_up_while_an_answer_comes_stays_there(chat: Visit) -> None:
    chat.page.get_by_label("Max tokens").fill("1500")
    chat.page.set_viewport_size({"width": 1280, "height": 320})
    chat.ask(LONG)
    place = "[conversation.scrollTop, conversation.scrollHeight]"
    _wait_for(chat.page, lambda: chat.page.evaluate(place)[0] > 150)  # the page follows by itself
    chat.page.evaluate("conversation.scrollTop = 0")
    height = chat.page.evaluate(place)[1]
    _wait_for(chat.page, lambda: chat.page.evaluate(place)[1] > height)
    chat.page.keyboard.press("Escape")
    expect(chat.answer).to_have_attribute("aria-busy", "false")
    assert chat.page.evaluate(place)[0] == 0


def test_a_wrong_token_is_explained_and_the_right_one_then_works(visit: Visit) -> None:
    visit.connect("wrong")
    error = visit.page.locator("#connect-error")
    expect(error).to_contain_text("not valid")
    expect(error).to_contain_text("tiber-serve token create")
    visit.expect_complaint("401")
    visit.connect()
    expect(visit.page.get_by_label("Message", exact=True)).to_be_focused()


def test_a_token_that_no_header_can_carry_is_explained(visit: Visit) -> None:
    visit.connect("żeton")
    expect(visit.page.locator("#connect-error")).to_contain_text("without spaces")


def test_a_token_that_has_expired_can_be_entered_again_without_losing_the_conversation(chat: Visit) -> None:
    body = {
        "error": {"message": "The token is not valid", "type": "unauthorized", "code": 401, "param": None}
    }
    chat.page.route("**/v1/chat/completions", lambda route: route.fulfill(status=401, json=body))
    chat.ask(QUESTION)
    expect(chat.page.locator(".answer .error")).to_contain_text("The token is not valid")
    chat.expect_complaint("401")
    chat.page.unroute("**/v1/chat/completions")
    chat.page.locator("#exchanges").get_by_role("button", name="Change token").click()
    chat.connect()
    chat.page.get_by_role("button", name="Regenerate").click()
    expect(chat.answer).to_contain_text("ravity")


@pytest.mark.parametrize(
    ("status", "headers", "advice"),
    [
        (403, {"Retry-After": "300"}, "Wait 300 s"),
        (429, {"Retry-After": "2"}, "Wait 2 s"),
        (503, {}, "Wait a little"),
        (413, {}, "Remove images"),
    ],
)
def test_each_refusal_says_what_to_do(chat: Visit, status: int, headers: dict[str, str], advice: str) -> None:
    body = {"error": {"message": "refused", "type": "x", "code": status, "param": None}}
    chat.page.route(
        "**/v1/chat/completions", lambda route: route.fulfill(status=status, json=body, headers=headers)
    )
    chat.ask(QUESTION)
    expect(chat.page.locator(".answer .error")).to_contain_text("refused")
    expect(chat.page.locator(".answer .error")).to_contain_text(advice)
    chat.expect_complaint(str(status))


def test_an_error_in_mid_stream_keeps_the_text_before_it(chat: Visit) -> None:
    error = {"error": {"message": "the engine died", "type": "unavailable", "code": 503, "param": None}}
    _serve_canned(chat.page, _delta("Once upon") + f"data: {json.dumps(error)}\n\n")
    chat.ask(LONG)
    expect(chat.page.locator(".answer .error")).to_contain_text("the engine died")
    expect(chat.answer).to_have_text("Once upon")
    chat.shoot("light-error")


def test_a_stream_that_breaks_off_is_an_error(chat: Visit) -> None:
    _serve_canned(chat.page, _delta("Once upon"))
    chat.ask(LONG)
    expect(chat.page.locator(".answer .error")).to_contain_text("broke off")


def test_the_parameters_and_the_conversation_are_what_is_sent(chat: Visit) -> None:
    bodies = _serve_canned(chat.page, _delta("Fine.") + DONE)
    chat.page.get_by_label("System prompt").fill("Be brief.")
    chat.page.get_by_label("Top p").fill("0.5")
    chat.page.get_by_label("Seed").fill("7")
    chat.page.get_by_label("Frequency penalty").fill("-0.5")
    chat.page.get_by_label("Stop strings").fill("END\n\\n\\n")
    chat.ask("How are you?")
    expect(chat.answer).to_have_text("Fine.")
    chat.ask("And now?")
    expect(chat.page.locator(".answer")).to_have_count(2)
    expect(chat.answer).to_have_text("Fine.")
    assert bodies[1] == {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "How are you?"},
            {"role": "assistant", "content": "Fine."},
            {"role": "user", "content": "And now?"},
        ],
        "temperature": 0,
        "top_p": 0.5,
        "max_tokens": 40,
        "seed": 7,
        "frequency_penalty": -0.5,
        "stop": ["END", "\n\n"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_the_service_takes_every_parameter(chat: Visit) -> None:
    for label in ("Top p", "Frequency penalty", "Presence penalty"):
        chat.page.get_by_label(label).fill("0.5")
    chat.page.get_by_label("Temperature").fill("0.8")
    chat.page.get_by_label("Seed").fill("7")
    chat.page.get_by_label("System prompt").fill("Be brief.")
    chat.page.get_by_label("Stop strings").fill("QQQ")
    chat.ask(QUESTION)
    expect(chat.answer).to_have_attribute("aria-busy", "false")
    assert int(chat.figure("Answer").removesuffix(" tokens")) > 0


def test_a_parameter_out_of_range_is_pointed_at_and_nothing_is_sent(chat: Visit) -> None:
    bodies = _serve_canned(chat.page, DONE)
    chat.page.get_by_label("Temperature").fill("3")
    chat.ask(QUESTION)
    expect(chat.page.get_by_label("Temperature")).to_be_focused()
    expect(chat.page.locator(".exchange")).to_have_count(0)
    expect(chat.page.get_by_label("Message", exact=True)).to_have_value(QUESTION)
    assert bodies == []


def test_the_last_message_can_be_edited_regenerated_copied_and_all_of_it_cleared(chat: Visit) -> None:
    page = chat.page
    chat.context.grant_permissions(["clipboard-read", "clipboard-write"])
    bodies = _serve_canned(page, _delta("Fine.") + DONE)
    chat.ask("How are yuo?")
    expect(chat.answer).to_have_text("Fine.")
    page.get_by_role("button", name="Edit").click()
    expect(page.get_by_label("Message", exact=True)).to_have_value("How are yuo?")
    chat.ask("How are you?")
    expect(page.locator(".question .text")).to_have_text(["How are you?"])
    expect(chat.answer).to_have_text("Fine.")
    page.get_by_role("button", name="Regenerate").click()
    expect(chat.answer).to_have_text("Fine.")
    questions = [[message["content"] for message in body["messages"]] for body in bodies]
    assert questions == [["How are yuo?"], ["How are you?"], ["How are you?"]]
    page.get_by_role("button", name="Copy answer").click()
    expect(page.get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "Fine."
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".exchange")).to_have_count(0)
    expect(page.locator("#empty")).to_be_visible()


def test_copying_works_where_the_browser_offers_no_clipboard(chat: Visit) -> None:
    page = chat.page
    _serve_canned(page, _delta("Fine.") + DONE)
    chat.ask("How are you?")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.evaluate(
        "document.addEventListener('copy', () => { globalThis.copied = document.activeElement.value; })"
    )
    page.get_by_role("button", name="Copy answer").click()
    expect(page.get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("globalThis.copied") == "Fine."


def test_text_of_the_model_is_never_markup(chat: Visit) -> None:
    markup = "<img src=x onerror=alert(1)><b>bold</b>"
    _serve_canned(chat.page, _delta(markup) + DONE)
    chat.ask(markup)
    expect(chat.answer).to_have_text(markup)
    assert chat.page.locator(".exchange img, .exchange b").count() == 0


def test_the_chosen_model_answers_and_is_offered_images_only_if_it_reads_them(visit: Visit) -> None:
    bodies = _serve_canned(
        visit.page, _delta("Fine.") + DONE, models=[{"id": "blind", "task": "text-generation"}, VISION_MODEL]
    )
    visit.connect()
    expect(visit.page.get_by_role("button", name="Add image")).to_be_hidden()
    visit.page.get_by_label("Model", exact=True).select_option("seeing")
    expect(visit.page.get_by_role("button", name="Add image")).to_be_visible()
    visit.ask(QUESTION)
    expect(visit.answer).to_have_text("Fine.")
    assert [body["model"] for body in bodies] == ["seeing"]


def test_images_are_scaled_previewed_removed_and_sent_to_a_model_that_reads_them(
    open_page: Open, tmp_path: Path
) -> None:
    visit = open_page()
    page = visit.page
    bodies = _serve_canned(page, _delta("A wall.") + DONE, models=[VISION_MODEL])
    large, small = tmp_path / "large.png", tmp_path / "small.png"
    Image.new("RGB", (2000, 1000), "red").save(large)
    Image.new("RGB", (30, 20), "blue").save(small)
    visit.connect()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add image").click()
    chooser.value.set_files([large, small])
    expect(page.locator("#attachments img")).to_have_count(2)
    page.get_by_role("button", name="Remove small.png").click()
    expect(page.locator("#attachments img")).to_have_count(1)
    visit.ask("What is this?")
    expect(page.locator(".question img")).to_have_count(1)
    expect(page.locator("#attachments img")).to_have_count(0)
    expect(visit.answer).to_have_text("A wall.")
    picture, text = bodies[0]["messages"][0]["content"]
    assert text == {"type": "text", "text": "What is this?"}
    assert picture["type"] == "image_url"
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")
    size = page.locator(".question img").evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert size == [1024, 512]
    visit.shoot("light-image")


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_an_image_can_be_pasted_and_dropped(visit: Visit, kind: str) -> None:
    page = visit.page
    _serve_canned(page, DONE, models=[VISION_MODEL])
    visit.connect()
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.evaluate(
        """async (kind) => {
          const canvas = new OffscreenCanvas(8, 8);
          canvas.getContext("2d").fillRect(0, 0, 8, 8);
          const data = new DataTransfer();
          data.items.add(new File([await canvas.convertToBlob()], "dot.png", {type: "image/png"}));
          const event = kind === "paste"
            ? new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true})
            : new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
          document.getElementById("prompt").dispatchEvent(event);
        }""",
        kind,
    )
    expect(page.locator("#attachments img")).to_have_count(1)


def test_the_token_is_stored_nowhere(chat: Visit) -> None:
    chat.ask(QUESTION)
    expect(chat.answer).to_have_attribute("aria-busy", "false")
    chat.page.get_by_role("button", name="Dark theme").click()
    places = "[{...localStorage}, {...sessionStorage}, document.cookie, location.href, history.state]"
    stored = chat.page.evaluate(places)
    assert stored == [{"theme": "dark"}, {}, "", f"{chat.server.url}/", None]
    assert chat.server.token not in json.dumps(chat.context.storage_state(indexed_db=True))
    chat.page.reload()
    expect(chat.page.get_by_label("Access token")).to_have_value("")


def test_the_keyboard_alone_is_enough(visit: Visit) -> None:
    page, press = visit.page, visit.page.keyboard.press
    expect(page.get_by_label("Access token")).to_be_focused()
    press("Shift+Tab")
    press("Shift+Tab")
    expect(page.get_by_role("link", name="Skip to the conversation")).to_be_focused()
    press("Enter")
    press("Tab")
    expect(page.get_by_label("Access token")).to_be_focused()
    page.keyboard.type(visit.server.token)
    press("Enter")
    message = page.get_by_label("Message", exact=True)
    expect(message).to_be_focused()
    page.keyboard.type("Tell a long story")
    press("Shift+Enter")
    page.keyboard.type("about a fox.")
    expect(message).to_have_value("Tell a long story\nabout a fox.")
    press("Enter")
    expect(visit.answer).to_contain_text(" ")
    press("Escape")
    expect(visit.answer).to_have_attribute("aria-busy", "false")
    assert visit.figure("End") == "stopped"
    press("Shift+Tab")
    expect(page.get_by_role("button", name="Regenerate")).to_be_focused()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_the_page_fits_a_phone(open_page: Open) -> None:
    visit = open_page(viewport=PHONE, has_touch=True, is_mobile=True)
    page = visit.page
    assert not _is_too_wide(page)
    visit.shoot("phone-connect")
    visit.connect()
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_label("Max tokens")).to_be_in_viewport()
    page.get_by_label("Max tokens").fill("40")
    assert not _is_too_wide(page)
    visit.shoot("phone-settings")
    _assert_accessible(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Settings")).to_be_focused()
    expect(page.get_by_label("Max tokens")).to_be_hidden()
    visit.ask("W" * 100 + f" {QUESTION}")
    expect(visit.answer).to_have_attribute("aria-busy", "false")
    assert not _is_too_wide(page)
    expect(page.get_by_role("button", name="Send")).to_be_in_viewport()
    visit.shoot("phone")


def test_the_theme_follows_the_system_until_it_is_chosen(open_page: Open) -> None:
    def brightness(visit: Visit) -> int:
        colour = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in re.findall(r"\d+", colour)[:3])

    light, dark = open_page(), open_page(color_scheme="dark")
    assert brightness(light) > 600
    assert brightness(dark) < 150
    toggle = dark.page.get_by_role("button", name="Dark theme")
    expect(toggle).to_have_attribute("aria-pressed", "true")
    toggle.click()
    assert brightness(dark) > 600
    dark.page.reload()
    assert brightness(dark) > 600


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_complain_of(open_page: Open, scheme: str) -> None:
    visit = open_page(color_scheme=scheme)
    visit.shoot(f"{scheme}-connect")
    _assert_accessible(visit.page)
    visit.connect()
    visit.page.get_by_label("Max tokens").fill("40")
    visit.ask(QUESTION)
    expect(visit.answer).to_have_attribute("aria-busy", "false")
    visit.shoot(scheme)
    _assert_accessible(visit.page)


@pytest.mark.parametrize(("preference", "animation"), [("reduce", "none"), ("no-preference", "pulse")])
def test_nothing_moves_for_those_who_want_it_still(open_page: Open, preference: str, animation: str) -> None:
    visit = open_page(reduced_motion=preference)
    visit.connect()
    visit.page.route("**/v1/chat/completions", lambda _route: None)  # never answered
    visit.ask(QUESTION)
    expect(visit.page.locator(".waiting")).to_be_visible()
    waiting = "getComputedStyle(document.querySelector('.waiting .answer'), '::after').animationName"
    assert visit.page.evaluate(waiting) == animation
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator(".waiting")).to_have_count(0)


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
