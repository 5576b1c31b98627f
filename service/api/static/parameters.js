// The settings panel: what it holds, as fields of a chat completion.

import { element } from "./page.js";

const form = element("parameters");

/** The system prompt; empty when there is none. */
export function systemPrompt() {
  return form.elements.system.value.trim();
}

/** The fields that are filled in; null when one of them is out of its range. */
export function requestFields() {
  if (!form.checkValidity()) return null;
  const fields = {};
  for (const input of form.querySelectorAll("input[type=number]")) {
    if (input.value !== "") fields[input.name] = input.valueAsNumber;
  }
  const stop = form.elements.stop.value
    .split("\n")
    .map((line) => line.replaceAll("\\n", "\n"))
    .filter((line) => line !== "");
  if (stop.length > 0) fields.stop = stop;
  return fields;
}

/** Point at the field that is out of its range. */
export function showInvalid() {
  form.reportValidity();
}

/** A model's own limits become the fields' limits. */
export function limitTo(model) {
  form.elements.max_tokens.max = model.max_total_tokens ?? "";
}
