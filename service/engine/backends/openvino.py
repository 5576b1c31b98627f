"""The OpenVINO GenAI runtime: continuous batching, paged attention, prefix cache."""

from pathlib import Path

import numpy as np
import openvino
import openvino_genai as genai

from service.domain import GenerationRequest, Grammar, Image, PicturePrompt, Sampling
from service.engine.backends.ebnf.grammar import structural_tags, text_grammar
from service.engine.config import EngineConfig
from service.engine.protocol import Done, EngineEvent, Failed, PromptScored, TokenDelta

# Each is looked up for every token.
_GOES_ON = genai.GenerationFinishReason.NONE
_ENDED_BY_TOKEN = genai.GenerationFinishReason.STOP
# The engine's own default for "no top-k limit".
_NO_TOP_K = (1 << 64) - 1
# Prompt lookup takes what followed the answer's last so many tokens where they, or fewer, stood before.
_LOOKUP_NGRAM = 3


class OpenVINOBackend:
    """Drives a ContinuousBatchingPipeline; see Backend for the contract."""

    def __init__(self, config: EngineConfig) -> None:
        self._pipeline = load_pipeline(config)
        # Tokens that the requests added from now on guess in each step.
        self.guesses = config.prompt_lookup
        self._eos_token_id, self._stop_token_ids = end_tokens(self._pipeline, config)
        # A dropped handle silently cancels its request: they live here until the end.
        self._handles: dict[int, genai.GenerationHandle] = {}
        self._wants_logprobs: set[int] = set()
        # Their first output begins with the whole prompt.
        self._echoed_tokens: dict[int, int] = {}

    @property
    def pipeline(self) -> "genai.ContinuousBatchingPipeline":
        """The runtime's own object."""
        return self._pipeline

    def add(self, request_id: int, request: GenerationRequest) -> None:
        """Hand the request to the pipeline's waiting queue."""
        config = self._generation_config(request.sampling)
        if request.pictures is None:
            prompt = openvino.Tensor(np.array([request.prompt_ids], dtype=np.int64))
            handle = self._pipeline.add_request(request_id, prompt, config)
        else:
            # The prompt is rendered already; the engine's own template would wrap it once more.
            config.apply_chat_template = False
            images = [_tensor(image) for image in request.pictures.images]
            handle = self._pipeline.add_request(request_id, _marked(request.pictures), images, config)
        self._handles[request_id] = handle
        if request.sampling.logprobs:
            self._wants_logprobs.add(request_id)
        if request.sampling.prompt_logprobs:
            self._echoed_tokens[request_id] = len(request.prompt_ids)

    def cancel(self, request_id: int) -> None:
        """Cancel; the pipeline frees it in its next step."""
        if request_id in self._handles:
            self._forget(request_id).cancel()

    def step(self) -> list[EngineEvent]:
        """Run one batch; read what each request got."""
        self._pipeline.step()
        events: list[EngineEvent] = []
        for request_id, handle in list(self._handles.items()):
            ended = self._read(request_id, handle, events)
            if ended:
                self._forget(request_id)
        return events

    def running(self) -> int:
        """Count unfinished requests, those cancelled but not yet freed included."""
        if self._handles:
            return len(self._handles)
        return 1 if self._pipeline.has_non_finished_requests() else 0

    def cache_ratio(self) -> float:
        """Ask the pipeline, which keeps the figure of its last step: idle, it holds none for requests."""
        if not self.running():
            return 0.0
        ratio: float = self._pipeline.get_metrics().cache_usage / 100
        return ratio

    def close(self) -> None:
        """Drop the pipeline."""
        self._handles.clear()
        del self._pipeline

    def _read(self, request_id: int, handle: "genai.GenerationHandle", events: list[EngineEvent]) -> bool:
        # handle.read() with nothing to read never returns.
        if handle.can_read():
            # One output, or none when the cache ran full.
            for output in handle.read().values():
                self._add_tokens(request_id, output, events)
                reason = output.finish_reason
                if reason == _GOES_ON:
                    return False
                events.append(Done(request_id, "eos_token" if reason == _ENDED_BY_TOKEN else "length"))
                return True
        if handle.get_status() == genai.GenerationStatus.IGNORED:
            events.append(Failed(request_id, "the KV cache has no room for this request", True))
            return True
        return False

    def _add_tokens(
        self, request_id: int, output: "genai.GenerationOutput", events: list[EngineEvent]
    ) -> None:
        ids = output.generated_ids
        if not ids:
            return
        if request_id not in self._wants_logprobs and request_id not in self._echoed_tokens:
            events.append(TokenDelta(request_id, ids))
            return
        logprobs = output.generated_log_probs
        new_ids = ids[self._echoed_tokens.pop(request_id, 0) :]
        echoed = len(logprobs) - len(new_ids)
        if echoed > 0:
            # The prompt's very first token follows nothing: the engine gives a 1 for it.
            begins = 1 if logprobs[0] == 1 else 0
            events.append(PromptScored(request_id, logprobs[begins:echoed]))
        # Zeros come where none were asked for.
        wanted = request_id in self._wants_logprobs
        events.append(TokenDelta(request_id, new_ids, logprobs[echoed:] if wanted else None))

    def _forget(self, request_id: int) -> "genai.GenerationHandle":
        self._wants_logprobs.discard(request_id)
        self._echoed_tokens.pop(request_id, None)
        return self._handles.pop(request_id)

    def _generation_config(self, sampling: Sampling) -> "genai.GenerationConfig":
        config = genai.GenerationConfig()
        config.set_eos_token_id(self._eos_token_id)
        config.stop_token_ids = self._stop_token_ids
        config.max_new_tokens = sampling.max_new_tokens
        config.min_new_tokens = sampling.min_new_tokens
        config.ignore_eos = sampling.ignore_eos
        config.repetition_penalty = sampling.repetition_penalty
        config.frequency_penalty = sampling.frequency_penalty
        config.presence_penalty = sampling.presence_penalty
        config.logprobs = 1 if sampling.logprobs or sampling.prompt_logprobs else 0
        config.echo = sampling.prompt_logprobs
        config.do_sample = sampling.do_sample
        if sampling.do_sample:
            config.temperature = sampling.temperature
            config.top_p = sampling.top_p
            config.top_k = _NO_TOP_K if sampling.top_k is None else sampling.top_k
            config.rng_seed = sampling.seed
        if sampling.grammar is not None:
            config.structured_output_config = structured_output(sampling.grammar)
        if self.guesses is not None:
            set_prompt_lookup(config, self.guesses)
        config.validate()
        return config


def _marked(pictures: PicturePrompt) -> str:
    """The text with the engine's own mark at each image's place."""
    first, *others = pictures.texts
    return first + "".join(f"<ov_genai_image_{index}>{text}" for index, text in enumerate(others))


def _tensor(image: Image) -> openvino.Tensor:
    pixels = np.frombuffer(image.pixels, dtype=np.uint8)
    return openvino.Tensor(pixels.reshape(image.height, image.width, 3))


def load_pipeline(config: EngineConfig) -> "genai.ContinuousBatchingPipeline":
    """Load the model as configured."""
    scheduler = genai.SchedulerConfig()
    scheduler.cache_size = config.cache_gib
    scheduler.max_num_batched_tokens = config.max_batched_tokens
    scheduler.max_num_seqs = config.max_running
    # Split-fuse must stay on: without it a step raises when max_num_batched_tokens < max_num_seqs.
    scheduler.dynamic_split_fuse = True
    scheduler.enable_prefix_caching = config.prefix_caching
    properties: dict[str, object] = dict(config.properties)
    if config.prompt_lookup is not None:
        properties["prompt_lookup"] = True
    return genai.ContinuousBatchingPipeline(config.model_path, scheduler, config.device, properties)


def end_tokens(pipeline: "genai.ContinuousBatchingPipeline", config: EngineConfig) -> tuple[int, set[int]]:
    """The end-of-sequence token, and all tokens that end an answer."""
    defaults = pipeline.get_config()
    if config.prompt_lookup is not None:
        # Such a pipeline's own defaults hold none.
        file = Path(config.model_path) / "generation_config.json"
        defaults = genai.GenerationConfig(file) if file.is_file() else genai.GenerationConfig()
        if defaults.eos_token_id < 0:
            defaults.set_eos_token_id(pipeline.get_tokenizer().get_eos_token_id())
    return defaults.eos_token_id, set(defaults.stop_token_ids) | {defaults.eos_token_id}


def set_prompt_lookup(config: "genai.GenerationConfig", tokens: int) -> None:
    """Let a request guess that many tokens a step: a pipeline with prompt lookup refuses one with none."""
    config.num_assistant_tokens = tokens
    config.max_ngram_size = _LOOKUP_NGRAM


def structured_output(grammar: Grammar) -> "genai.StructuredOutputConfig":
    """The runtime's form of a grammar.

    The runtime's own translation of JSON schemas ignores keywords, and some of what it allows is no JSON.

    Raises:
        ValidationError: no grammar can hold answers to it; with the reason.
    """
    if grammar.kind != "structural_tags":
        return genai.StructuredOutputConfig(grammar=text_grammar(grammar))
    forms = genai.StructuredOutputConfig
    wanted = structural_tags(grammar)
    tags = [forms.Tag(tag.begin, forms.EBNF(tag.grammar()), tag.end) for tag in wanted.tags]
    return forms(
        structural_tags_config=forms.TriggeredTags(
            wanted.triggers,
            tags,
            at_least_one=wanted.at_least_one,
            stop_after_first=wanted.stop_after_first,
        )
    )
