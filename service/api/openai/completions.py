"""The route /v1/completions."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.disconnect import run_while_connected
from service.api.event_stream import EventStreamResponse
from service.api.openai.bodies import MAX_PROMPTS, CompletionBody
from service.api.openai.completion_answer import CompletionForm, CompletionStream, whole_completion
from service.api.openai.identity import new_identity
from service.api.openai.sampling import check_stream_options, check_top_logprobs, sampling_fields
from service.api.openai.stream_usage import StreamUsage
from service.api.openai.usage import usage_of
from service.api.rendering import finish_headers
from service.api.responses import JSONResponse
from service.api.state import Service
from service.choices import alternatives, generate_answers
from service.domain import FieldNames, RawRequest
from service.errors import ValidationError

# OpenAI's own default.
_DEFAULT_NEW_TOKENS = 16
_NAMES = FieldNames(prompt="prompt", max_new_tokens="max_tokens", min_new_tokens="min_tokens")


def completions_router(service: Service) -> APIRouter:
    """The route of OpenAI's completions."""
    router = APIRouter(tags=["openai"])

    @router.post("/v1/completions")
    async def completions(body: CompletionBody, request: Request) -> Response:
        """Go on with one or several texts; with `stream` as server-sent events."""
        return await complete(service, body, request)

    return router


async def complete(service: Service, body: CompletionBody, request: Request) -> Response:
    """Answer a request for completions."""
    model = service.model(request, body.model)
    count = body.n or 1
    raws = [raw for one in to_raws(body) for raw in alternatives(one, count)]
    form = CompletionForm(
        new_identity("cmpl", model.name),
        has_logprobs=body.logprobs is not None,
        has_top_logprobs=bool(body.logprobs),
    )
    if body.stream:
        told = StreamUsage(body.stream_options, choices=len(raws), choices_of_a_prompt=count)
        stream = CompletionStream(form, choices=len(raws), usage=told)
        return EventStreamResponse(model, raws, stream, {})
    answers = await run_while_connected(request.receive, generate_answers(model, raws))
    usage = usage_of([answer.finish for answer in answers], count)
    headers = finish_headers(answers, model.device, prompt_tokens=usage.prompt_tokens)
    return JSONResponse(whole_completion(answers, usage, form), headers=headers)


def to_raws(body: CompletionBody) -> list[RawRequest]:
    """One request for each prompt.

    Raises:
        ValidationError: for what this service can't honour and would change the answer.
    """
    check_stream_options(body)
    check_top_logprobs("logprobs", body.logprobs, body)
    refusals = {"echo": body.echo, "suffix": body.suffix, "best_of": (body.best_of or 1) > (body.n or 1)}
    for name, is_refused in refusals.items():
        if is_refused:
            raise ValidationError(f"`{name}` is not supported by this service", param=name)
    prompts = _prompts(body.prompt)
    if len(prompts) * (body.n or 1) > MAX_PROMPTS:
        raise ValidationError(
            f"`prompt` times `n` must be at most {MAX_PROMPTS} choices; got {len(prompts)} times {body.n}",
            param="n",
        )
    return [
        RawRequest(
            prompt=prompt,
            max_new_tokens=body.max_tokens,
            default_new_tokens=_DEFAULT_NEW_TOKENS,
            logprobs=body.logprobs is not None,
            names=_NAMES,
            **sampling_fields(body),
        )
        for prompt in prompts
    ]


def _prompts(prompt: str | list[int] | list[str] | list[list[int]]) -> list[str | tuple[int, ...]]:
    if isinstance(prompt, str):
        return [prompt]
    if all(isinstance(one, int) for one in prompt):
        return [tuple(one for one in prompt if isinstance(one, int))]
    return [tuple(one) if isinstance(one, list) else one for one in prompt if not isinstance(one, int)]
