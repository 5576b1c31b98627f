"""TGI's /tokenize, and its way back."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.responses import JSONResponse
from service.api.state import Service
from service.api.wire import MAX_TOKENS, DetokenizeBody, DetokenizedText, SimpleToken, TokenizeBody
from service.errors import ValidationError
from service.prompt.validation import check_ids
from service.text.tokenizer import ModelTokenizer


def tokens_router(service: Service) -> APIRouter:
    """The routes /tokenize and /detokenize."""
    router = APIRouter(tags=["tokens"])

    @router.post("/tokenize")
    async def tokenize(body: TokenizeBody, request: Request) -> Response:
        """The tokens of a text, as /generate would count them."""
        model = service.model(request, body.model)
        most = model.tokenizer.most_characters(model.limits.max_total)
        if len(body.inputs) > most:
            raise ValidationError(
                f"`inputs` must have at most {most} characters, which is more than this model can read; "
                f"it has {len(body.inputs)}",
                param="inputs",
            )
        return await asyncio.to_thread(_tokenized, model.tokenizer, body.inputs)

    @router.post("/detokenize")
    async def detokenize(body: DetokenizeBody, request: Request) -> Response:
        """The text of token ids, special tokens included."""
        tokenizer = service.model(request, body.model).tokenizer
        ids = [token if isinstance(token, int) else token.id for token in body.tokens]
        check_ids(ids, tokenizer.ids, "tokens", most=MAX_TOKENS)
        return JSONResponse(DetokenizedText(await tokenizer.decode(ids)))

    return router


def _tokenized(tokenizer: ModelTokenizer, text: str) -> Response:
    return JSONResponse(
        [
            SimpleToken(id=token.id, text=token.text, start=token.start, stop=token.stop)
            for token in tokenizer.split(text)
        ]
    )
