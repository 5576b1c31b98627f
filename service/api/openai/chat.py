"""The route /v1/chat/completions."""

from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.disconnect import run_while_connected
from service.api.event_stream import EventStreamResponse
from service.api.openai.bodies import ChatBody
from service.api.openai.chat_answer import ChatForm, ChatStream, whole_chat
from service.api.openai.chat_request import ToolUse, has_images, to_raw, tool_use_of
from service.api.openai.choice_text import ChoiceText
from service.api.openai.identity import new_identity
from service.api.openai.stream_usage import StreamUsage
from service.api.openai.usage import usage_of
from service.api.rendering import finish_headers
from service.api.responses import JSONResponse
from service.api.state import Service
from service.choices import alternatives, generate_answers
from service.generation import TextModel


def chat_router(service: Service) -> APIRouter:
    """The route of OpenAI's chat."""
    router = APIRouter(tags=["openai"])

    @router.post("/v1/chat/completions")
    async def chat_completions(body: ChatBody, request: Request) -> Response:
        """Go on with a conversation; with `stream` as server-sent events."""
        return await chat(service, body, request)

    return router


async def chat(service: Service, body: ChatBody, request: Request) -> Response:
    """Answer a conversation."""
    model = service.model(request, body.model, has_images=has_images(body))
    tool_use = tool_use_of(body, model.tool_format)
    raw = to_raw(body, tool_use=tool_use, default_new_tokens=model.limits.default_chat)
    raws = alternatives(raw, body.n or 1)
    form = _form(body, tool_use, model)
    if body.stream:
        told = StreamUsage(body.stream_options, choices=len(raws), choices_of_a_prompt=len(raws))
        stream = ChatStream(form, choices=len(raws), usage=told)
        return EventStreamResponse(model, raws, stream, {})
    answers = await run_while_connected(request.receive, generate_answers(model, raws))
    usage = usage_of([answer.finish for answer in answers], len(raws))
    return JSONResponse(whole_chat(answers, usage, form), headers=finish_headers(answers, model.device))


def _form(body: ChatBody, tool_use: ToolUse, model: TextModel) -> ChatForm:
    return ChatForm(
        new_identity("chatcmpl", model.name),
        partial(
            ChoiceText,
            model.tool_format if tool_use.tools else None,
            opening=tool_use.opening,
            is_single=body.parallel_tool_calls is False,
        ),
        has_logprobs=bool(body.logprobs),
        has_top_logprobs=bool(body.top_logprobs),
    )
