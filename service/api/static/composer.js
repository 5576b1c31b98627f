// The message being written: its text, its images, and whether it replaces the last one.

import { toImage } from "./images.js";
import { element, showError, thumbnail } from "./page.js";

const form = element("composer");
const prompt = element("prompt");
const attachments = element("attachments");
const errorPlace = element("composer-error");
const editing = element("editing");
const addImage = element("add-image");
const imageInput = element("image-input");

let images = [];
let takesImages = false;

/** Call `onSend` with `{text, images}`; it returns whether it took the message. */
export function startComposer(onSend) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = prompt.value.trim();
    if (text === "" && images.length === 0) return;
    if (onSend({ text, images })) reset();
  });
  prompt.addEventListener("keydown", (event) => {
    // While an input method composes a character, Enter accepts it.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  element("cancel-editing").addEventListener("click", cancelEditing);
  startPicking();
}

function startPicking() {
  addImage.addEventListener("click", () => imageInput.click());
  imageInput.addEventListener("change", () => {
    attach([...imageInput.files]);
    imageInput.value = "";
  });
  prompt.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length === 0) return;
    event.preventDefault();
    attach([...event.clipboardData.files]);
  });
  // On the whole page: a browser opens a file dropped beside the box, and the conversation is gone.
  document.addEventListener("dragover", (event) => {
    if (event.dataTransfer.types.includes("Files")) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    if (event.dataTransfer.files.length === 0) return;
    event.preventDefault();
    if (!form.hidden) attach([...event.dataTransfer.files]);
  });
}

/** Offer images, or drop them: a text model reads none. */
export function offerImages(isOffered) {
  takesImages = isOffered;
  addImage.hidden = !isOffered;
  if (!isOffered) setImages([]);
}

export const isEditing = () => !editing.hidden;

/** Put the last question back into the box. */
export function edit(question) {
  prompt.value = question.text;
  setImages(takesImages ? question.images : []);
  editing.hidden = false;
  prompt.focus();
}

/** Leave the last question as it was. */
export function cancelEditing() {
  reset();
  prompt.focus();
}

function reset() {
  prompt.value = "";
  editing.hidden = true;
  setImages([]);
  showError(errorPlace, null);
}

async function attach(files) {
  showError(errorPlace, null);
  if (!takesImages) {
    showError(errorPlace, "This model reads no images: choose one that does.");
    return;
  }
  for (const file of files) {
    try {
      setImages([...images, await toImage(file)]);
    } catch {
      showError(errorPlace, `${file.name} is no image that this browser can read.`);
    }
  }
}

function setImages(changed) {
  images = changed;
  attachments.replaceChildren(
    ...images.map((image) =>
      thumbnail(image, () => {
        setImages(images.filter((other) => other !== image));
        prompt.focus();
      }),
    ),
  );
}
