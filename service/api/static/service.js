// The service's OpenAI endpoints. The paths are relative, so that a proxy may put the service below its own.

/** What went wrong, in the service's words, and what to do about it. */
export class ServiceError extends Error {
  /** `status` is the HTTP status, 0 when there was no answer; `retryAfterS` is null when the service named no wait. */
  constructor(message, { status = 0, retryAfterS = null } = {}) {
    super(message);
    this.status = status;
    this.retryAfterS = retryAfterS;
  }

  get advice() {
    const wait = this.retryAfterS === null ? "a little" : `${this.retryAfterS} s`;
    switch (this.status) {
      case 0:
        return "Check that the service is running and reachable, then try again.";
      case 401:
        return "Enter the token that the service printed when it first started, or make one: tiber-serve token create NAME.";
      case 403:
        return `Too many wrong tokens came from this address. Wait ${wait}, then try again with the right one.`;
      case 413:
        return "Remove images, or clear the conversation.";
      case 429:
        return `The service is busy. Wait ${wait}, then try again.`;
      case 503:
        return `The service can't answer just now. Wait ${wait}, then try again.`;
      case 504:
        return "Ask for a shorter answer (Max tokens), or try again when the service is less busy.";
      default:
        return "";
    }
  }
}

/** The models that the service offers: `{id, task, max_total_tokens, ...}` each. */
export async function listModels(token) {
  const response = await request("v1/models", token, {});
  return (await response.json()).data;
}

/** The chunks of a streamed chat completion; `signal` cancels it, also in the service. */
export async function* streamChat(token, body, signal) {
  const response = await request("v1/chat/completions", token, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  for await (const data of events(response.body, signal)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new ServiceError(chunk.error.message, { status: chunk.error.code });
    yield chunk;
  }
  throw new ServiceError("The answer broke off.");
}

async function request(path, token, options) {
  const headers = { ...options.headers, Authorization: `Bearer ${token}` };
  let response;
  try {
    response = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
  } catch (error) {
    throw explained(error, options.signal);
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  const retryAfterS = Number.parseInt(response.headers.get("Retry-After"), 10);
  const details = { status: response.status, retryAfterS: Number.isNaN(retryAfterS) ? null : retryAfterS };
  // A proxy's own error page is no JSON.
  const body = await response.json().catch(() => null);
  return new ServiceError(body?.error?.message ?? `The service answered with status ${response.status}.`, details);
}

/** The data of each server-sent event. The service puts an event's data on one line and ends it with an empty one. */
async function* events(stream, signal) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (pending + value).split(/\r?\n/);
      pending = lines.pop();
      for (const line of lines) {
        if (line.startsWith("data:")) yield line.slice("data:".length).trim();
      }
    }
  } catch (error) {
    throw explained(error, signal);
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** An abort stays what it is; anything else that fetch throws means that the connection is gone. */
function explained(error, signal) {
  if (signal?.aborted) return error;
  return new ServiceError("The service could not be reached.");
}
