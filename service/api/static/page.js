// What several parts of the page need from the document.

export const element = (id) => document.getElementById(id);

/** Say something to screen readers only. */
export function announce(text) {
  element("announcement").textContent = text;
}

/** Show a ServiceError, or a plain text, where errors go; null takes it away. */
export function showError(place, error) {
  place.replaceChildren();
  if (error === null) return;
  for (const text of typeof error === "string" ? [error] : [error.message, error.advice]) {
    if (text) place.append(paragraph(text));
  }
}

function paragraph(text) {
  const created = document.createElement("p");
  created.textContent = text;
  return created;
}

/** An image of the conversation, small; with `onRemove` it has a button to remove it. */
export function thumbnail(image, onRemove) {
  const item = document.createElement("li");
  const picture = document.createElement("img");
  picture.src = image.url;
  picture.alt = image.name;
  item.append(picture);
  if (onRemove) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "×";
    button.setAttribute("aria-label", `Remove ${image.name}`);
    button.addEventListener("click", onRemove);
    item.append(button);
  }
  return item;
}

/** Put text on the clipboard. */
export async function copy(text) {
  // Browsers offer the clipboard to https and localhost only; a service in a LAN is often neither.
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
  } else {
    copyThroughSelection(text);
  }
  announce("Copied");
}

function copyThroughSelection(text) {
  const area = document.createElement("textarea");
  const focused = document.activeElement;
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  focused?.focus();
}
