// The token and the models: who we are to the service, and whom we talk to.

import { element, showError } from "./page.js";
import { ServiceError, listModels } from "./service.js";

const form = element("connect");
const field = element("token");
const button = form.querySelector("button");
const errorPlace = element("connect-error");
const select = element("model");

// In memory only, never stored: whoever uses this browser next must not find it.
let token = "";
let models = [];

/** Call `onConnect` when the service has taken the token, `onModel` with each model chosen. */
export function startConnection(onConnect, onModel) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await connect(field.value.trim());
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      showError(errorPlace, error);
      field.select();
      return;
    } finally {
      button.disabled = false;
    }
    field.value = "";
    showError(errorPlace, null);
    onModel(chosenModel());
    onConnect();
  });
  select.addEventListener("change", () => onModel(chosenModel()));
}

/** Throws a ServiceError when the service does not take the token. */
async function connect(candidate) {
  // Browsers refuse to send anything else in a header.
  if (!/^[!-~]+$/.test(candidate)) {
    throw new ServiceError("A token is made of letters, digits and signs, without spaces.", { status: 401 });
  }
  models = await listModels(candidate);
  token = candidate;
  select.replaceChildren(...models.map((model) => new Option(model.id, model.id)));
}

/** Forget the token. */
export function disconnect() {
  token = "";
}

export const currentToken = () => token;

export const chosenModel = () => models.find((model) => model.id === select.value);

export const readsImages = (model) => model.task === "image-text-to-text";
