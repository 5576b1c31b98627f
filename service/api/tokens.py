"""TGI's /tokenize, and its way back."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.responses import JSONResponse
from service.api.state import Service
from service.api.wire import DetokenizeBody, DetokenizedText, SimpleToken, TokenizeBody
from service.errors import ValidationError
from service.prompt.validation import check_ids


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
        return JSONResponse(
            [
                SimpleToken(id=token.id, text=token.text, start=token.start, stop=token.stop)
                for token in await model.tokenizer.split(body.inputs)
            ]
        )

    @router.post("/detokenize")
    async def detokenize(body: DetokenizeBody, request: Request) -> Response:
        """The text of token ids, special tokens included."""
        tokenizer = service.model(request, body.model).tokenizer
        ids = [token if isinstance(token, int) else token.id for token in body.tokens]
        check_ids(ids, tokenizer.ids, "tokens")
        return JSONResponse(DetokenizedText(tokenizer.decode(ids)))

    return router
