"""Puts log-probabilities into OpenAI's two forms."""

from collections.abc import Iterable

from service.api.openai.answers import ChatLogprobs, CompletionLogprobs, TokenLogprob, TopLogprob
from service.domain import GenerationEvent, Token


def spoken_tokens(events: Iterable[GenerationEvent]) -> list[Token]:
    """The tokens that are text."""
    return [event for event in events if isinstance(event, Token) and not event.special]


def chat_logprobs(tokens: Iterable[Token], *, has_top: bool) -> ChatLogprobs:
    """The form of /v1/chat/completions; with `has_top` the chosen token is the likeliest."""
    return ChatLogprobs([_token_logprob(token, has_top=has_top) for token in tokens])


def _token_logprob(token: Token, *, has_top: bool) -> TokenLogprob:
    logprob, raw = token.logprob or 0.0, list(token.piece.encode())
    top = [TopLogprob(token.piece, logprob, raw)] if has_top else []
    return TokenLogprob(token.piece, logprob, raw, top)


def completion_logprobs(tokens: Iterable[Token], offset: int, *, has_top: bool) -> CompletionLogprobs:
    """The form of /v1/completions; the first token begins at the text's character `offset`."""
    pieces, values, offsets = [], [], []
    for token in tokens:
        pieces.append(token.piece)
        values.append(token.logprob or 0.0)
        offsets.append(offset)
        offset += len(token.piece)
    top = [{piece: value} for piece, value in zip(pieces, values, strict=True)] if has_top else None
    return CompletionLogprobs(pieces, values, top, offsets)
