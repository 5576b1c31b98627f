// Puts the page's parts together.

import * as chat from "./chat.js";
import * as composer from "./composer.js";
import { disconnect, readsImages, startConnection } from "./connection.js";
import { copy, element } from "./page.js";
import { limitTo, requestFields, showInvalid } from "./parameters.js";

const wide = matchMedia("(min-width: 60rem)");
const settings = element("settings");
const settingsToggle = element("settings-toggle");
const sendButton = element("send");
const stopButton = element("stop");
const conversation = element("conversation");

function showChat(isConnected) {
  element("connect").hidden = isConnected;
  for (const id of ["conversation", "composer", "model-field", "clear", "settings-toggle"]) {
    element(id).hidden = !isConnected;
  }
  showSettings(isConnected && wide.matches);
  element(isConnected ? "prompt" : "token").focus();
}

function showSettings(isOpen) {
  settings.hidden = !isOpen;
  settingsToggle.setAttribute("aria-expanded", String(isOpen));
  // On a narrow screen the panel covers the conversation.
  element("main").inert = isOpen && !wide.matches;
}

function closeSettings() {
  showSettings(false);
  settingsToggle.focus();
}

/** Show that an answer is under way, until `answering` is settled. */
async function follow(answering) {
  showState();
  try {
    await answering;
  } finally {
    showState();
  }
}

/** Stop stands in the place of Send while an answer is under way. */
function showState() {
  const isBusy = chat.isRunning();
  const hadFocus = [sendButton, stopButton].includes(document.activeElement);
  sendButton.hidden = isBusy;
  stopButton.hidden = !isBusy;
  if (hadFocus) (isBusy ? stopButton : sendButton).focus();
  conversation.classList.toggle("busy", isBusy);
  element("empty").hidden = chat.lastExchange() !== undefined;
}

/** The request's parameters, or null after pointing at a wrong one. */
function checkedFields() {
  const fields = requestFields();
  if (fields === null) {
    showSettings(true);
    showInvalid();
  }
  return fields;
}

function send(question) {
  if (chat.isRunning()) return false;
  const fields = checkedFields();
  if (fields === null) return false;
  if (composer.isEditing()) chat.removeLast();
  follow(chat.ask(question, fields));
  return true;
}

function regenerate(exchange) {
  const fields = checkedFields();
  if (fields === null) return;
  // The button that was pressed goes away.
  conversation.focus();
  follow(chat.answer(exchange, fields));
}

function changeToken() {
  chat.stop();
  disconnect();
  showChat(false);
}

const actions = {
  "copy-question": (exchange) => copy(exchange.question.text),
  "copy-answer": (exchange) => copy(exchange.answer),
  edit: (exchange) => composer.edit(exchange.question),
  regenerate,
  "change-token": changeToken,
};

element("exchanges").addEventListener("click", (event) => {
  const action = event.target.closest("[data-action]")?.dataset.action;
  if (action) actions[action](chat.exchangeOf(event.target));
});
element("clear").addEventListener("click", () => {
  chat.clear();
  composer.cancelEditing();
  showState();
});
element("disconnect").addEventListener("click", changeToken);
element("close-settings").addEventListener("click", closeSettings);
settingsToggle.addEventListener("click", () => {
  showSettings(settings.hidden);
  if (!settings.hidden) settings.focus();
});
stopButton.addEventListener("click", chat.stop);
wide.addEventListener("change", () => showSettings(wide.matches && element("connect").hidden));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.isComposing) return;
  if (chat.isRunning()) chat.stop();
  else if (!settings.hidden && !wide.matches) closeSettings();
  else if (composer.isEditing()) composer.cancelEditing();
});
startConnection(
  () => showChat(true),
  (model) => {
    composer.offerImages(readsImages(model));
    limitTo(model);
  },
);
composer.startComposer(send);
