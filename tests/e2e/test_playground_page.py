"""The playground's page in a browser: images, keyboard, phone, themes, accessibility."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.support.browser import (
    DONE,
    PHONE,
    QUESTION,
    VISION_MODEL,
    Open,
    Visit,
    assert_accessible,
    delta,
    is_too_wide,
    serve_canned,
)


def test_images_are_scaled_previewed_removed_and_sent_to_a_model_that_reads_them(
    open_page: Open, tmp_path: Path
) -> None:
    visit = open_page()
    page = visit.page
    bodies = serve_canned(page, delta("A wall.") + DONE, models=[VISION_MODEL])
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
    serve_canned(page, DONE, models=[VISION_MODEL])
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
    assert not is_too_wide(page)
    visit.shoot("phone-connect")
    visit.connect()
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_label("Max tokens")).to_be_in_viewport()
    page.get_by_label("Max tokens").fill("40")
    assert not is_too_wide(page)
    visit.shoot("phone-settings")
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Settings")).to_be_focused()
    expect(page.get_by_label("Max tokens")).to_be_hidden()
    visit.ask("W" * 100 + f" {QUESTION}")
    expect(visit.answer).to_have_attribute("aria-busy", "false")
    assert not is_too_wide(page)
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
    assert_accessible(visit.page)
    visit.connect()
    visit.page.get_by_label("Max tokens").fill("40")
    visit.ask(QUESTION)
    expect(visit.answer).to_have_attribute("aria-busy", "false")
    visit.shoot(scheme)
    assert_accessible(visit.page)


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
