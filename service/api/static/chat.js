// The conversation: asks, times, stops.

import { chosenModel, currentToken, readsImages } from "./connection.js";
import { Exchange } from "./exchange.js";
import { announce, element } from "./page.js";
import { systemPrompt } from "./parameters.js";
import { ServiceError, streamChat } from "./service.js";

const list = element("exchanges");
const FINISHES = { stop: "complete", length: "cut at the token limit" };

let exchanges = [];
let running = null;

export const isRunning = () => running !== null;

export const lastExchange = () => exchanges.at(-1);

export const exchangeOf = (node) => exchanges.find((exchange) => exchange.root.contains(node));

/** Add a question and answer it; `fields` are those of the request besides model and messages. */
export function ask(question, fields) {
  const exchange = new Exchange(question);
  exchanges.push(exchange);
  list.append(exchange.root);
  return answer(exchange, fields);
}

/** Take the last question and its answer away. */
export function removeLast() {
  exchanges.pop()?.root.remove();
}

/** Cancel the answer under way; what has come of it stays. */
export function stop() {
  running?.abort();
}

export function clear() {
  stop();
  exchanges = [];
  list.replaceChildren();
}

/** Answer an exchange, afresh if it has an answer; throws nothing that the service is to blame for. */
export async function answer(exchange, fields) {
  const model = chosenModel();
  const messages = messagesUpTo(exchange, readsImages(model));
  const clock = new Clock();
  const controller = new AbortController();
  running = controller;
  exchange.begin(model.id);
  try {
    const chunks = streamChat(currentToken(), { model: model.id, messages, ...fields }, controller.signal);
    for await (const chunk of chunks) take(chunk, exchange, clock);
    announce("Answer complete");
  } catch (error) {
    if (controller.signal.aborted) {
      clock.finish = "stopped";
      announce("Answer stopped");
    } else if (error instanceof ServiceError) {
      exchange.fail(error);
    } else {
      throw error;
    }
  } finally {
    exchange.end(clock.figures());
    if (running === controller) running = null;
  }
}

function take(chunk, exchange, clock) {
  const choice = chunk.choices[0];
  if (choice?.delta?.content) {
    clock.tick();
    exchange.append(choice.delta.content);
  }
  if (choice?.finish_reason) clock.finish = FINISHES[choice.finish_reason] ?? choice.finish_reason;
  if (chunk.usage) clock.usage = chunk.usage;
}

function messagesUpTo(last, withImages) {
  const messages = [];
  if (systemPrompt() !== "") messages.push({ role: "system", content: systemPrompt() });
  for (const exchange of exchanges) {
    // A question whose answer failed is left out: most chat templates want the roles to alternate.
    if (exchange !== last && exchange.answer === "") continue;
    messages.push({ role: "user", content: contentOf(exchange.question, withImages) });
    if (exchange === last) break;
    messages.push({ role: "assistant", content: exchange.answer });
  }
  return messages;
}

function contentOf({ text, images }, withImages) {
  if (!withImages || images.length === 0) return text;
  const parts = images.map(({ url }) => ({ type: "image_url", image_url: { url } }));
  return text === "" ? parts : [...parts, { type: "text", text }];
}

/** Times one answer, as seen from this page. */
class Clock {
  finish = null;
  usage = null;
  #startedMs = performance.now();
  #firstMs = null;
  #lastMs = null;

  tick() {
    this.#lastMs = performance.now();
    this.#firstMs ??= this.#lastMs;
  }

  figures() {
    const figures = [];
    if (this.#firstMs !== null) {
      figures.push(["TTFT", `${Math.round(this.#firstMs - this.#startedMs)} ms`]);
    }
    if (this.usage !== null) {
      const decodeS = (this.#lastMs - this.#firstMs) / 1000;
      // The first token's time is the TTFT; the rate is that of the tokens after it.
      if (decodeS > 0) {
        figures.push(["Speed", `${((this.usage.completion_tokens - 1) / decodeS).toFixed(1)} tokens/s`]);
      }
      figures.push(["Prompt", `${this.usage.prompt_tokens} tokens`]);
      figures.push(["Answer", `${this.usage.completion_tokens} tokens`]);
    }
    if (this.finish !== null) figures.push(["End", this.finish]);
    return figures;
  }
}
