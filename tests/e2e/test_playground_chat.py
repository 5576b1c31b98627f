"""Chats in the playground, in a browser, against the default model."""

import json

import pytest
from playwright.sync_api import expect

from tests.support.browser import (
    DONE,
    LONG,
    MODEL,
    QUESTION,
    VISION_MODEL,
    Visit,
    count_updates,
    delta,
    outcomes,
    serve_canned,
    wait_for,
)


def test_a_question_is_answered_token_by_token_with_its_figures(chat: Visit) -> None:
    expect(chat.page.get_by_label("Model", exact=True)).to_have_value(MODEL)
    count_updates(chat.page)
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
    cancelled = outcomes(chat.server, "cancelled")
    chat.page.get_by_label("Max tokens").fill("1500")
    chat.ask(LONG)
    expect(chat.answer).to_contain_text(" ")
    chat.page.get_by_role("button", name="Stop").click()
    expect(chat.answer).to_have_attribute("aria-busy", "false")
    assert chat.figure("End") == "stopped"
    expect(chat.page.get_by_role("button", name="Send")).to_be_focused()
    stopped_at = chat.answer.inner_text()
    wait_for(chat.page, lambda: outcomes(chat.server, "cancelled") == cancelled + 1)
    assert chat.answer.inner_text() == stopped_at


def test_whoever_scrolls_up_while_an_answer_comes_stays_there(chat: Visit) -> None:
    chat.page.get_by_label("Max tokens").fill("1500")
    chat.page.set_viewport_size({"width": 1280, "height": 320})
    chat.ask(LONG)
    place = "[conversation.scrollTop, conversation.scrollHeight]"
    wait_for(chat.page, lambda: chat.page.evaluate(place)[0] > 150)  # the page follows by itself
    chat.page.evaluate("conversation.scrollTop = 0")
    height = chat.page.evaluate(place)[1]
    wait_for(chat.page, lambda: chat.page.evaluate(place)[1] > height)
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
    serve_canned(chat.page, delta("Once upon") + f"data: {json.dumps(error)}\n\n")
    chat.ask(LONG)
    expect(chat.page.locator(".answer .error")).to_contain_text("the engine died")
    expect(chat.answer).to_have_text("Once upon")
    chat.shoot("light-error")


def test_a_stream_that_breaks_off_is_an_error(chat: Visit) -> None:
    serve_canned(chat.page, delta("Once upon"))
    chat.ask(LONG)
    expect(chat.page.locator(".answer .error")).to_contain_text("broke off")


def test_the_parameters_and_the_conversation_are_what_is_sent(chat: Visit) -> None:
    bodies = serve_canned(chat.page, delta("Fine.") + DONE)
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
    bodies = serve_canned(chat.page, DONE)
    chat.page.get_by_label("Temperature").fill("3")
    chat.ask(QUESTION)
    expect(chat.page.get_by_label("Temperature")).to_be_focused()
    expect(chat.page.locator(".exchange")).to_have_count(0)
    expect(chat.page.get_by_label("Message", exact=True)).to_have_value(QUESTION)
    assert bodies == []


def test_the_last_message_can_be_edited_regenerated_copied_and_all_of_it_cleared(chat: Visit) -> None:
    page = chat.page
    chat.context.grant_permissions(["clipboard-read", "clipboard-write"])
    bodies = serve_canned(page, delta("Fine.") + DONE)
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
    serve_canned(page, delta("Fine.") + DONE)
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
    serve_canned(chat.page, delta(markup) + DONE)
    chat.ask(markup)
    expect(chat.answer).to_have_text(markup)
    assert chat.page.locator(".exchange img, .exchange b").count() == 0


def test_the_chosen_model_answers_and_is_offered_images_only_if_it_reads_them(visit: Visit) -> None:
    bodies = serve_canned(
        visit.page, delta("Fine.") + DONE, models=[{"id": "blind", "task": "text-generation"}, VISION_MODEL]
    )
    visit.connect()
    expect(visit.page.get_by_role("button", name="Add image")).to_be_hidden()
    visit.page.get_by_label("Model", exact=True).select_option("seeing")
    expect(visit.page.get_by_role("button", name="Add image")).to_be_visible()
    visit.ask(QUESTION)
    expect(visit.answer).to_have_text("Fine.")
    assert [body["model"] for body in bodies] == ["seeing"]
