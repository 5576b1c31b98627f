// One question with its answer, as the page shows it.

import { element, showError, thumbnail } from "./page.js";

const template = element("exchange-template");
const scroller = element("conversation");
const FOLLOW_PX = 80;

export class Exchange {
  /** `question` is `{text, images}`. */
  constructor(question) {
    this.question = question;
    this.root = template.content.cloneNode(true).querySelector("li");
    this.root.querySelector(".question .text").textContent = question.text;
    this.root.querySelector(".thumbnails").append(...question.images.map((image) => thumbnail(image)));
    this.error = this.root.querySelector(".answer .error");
    this.figures = this.root.querySelector(".figures");
    this.live = this.root.querySelector(".answer .text");
  }

  get answer() {
    return this.live.textContent;
  }

  button(action) {
    return this.root.querySelector(`[data-action="${action}"]`);
  }

  /** Make room for an answer of `author`, also in place of an earlier one. */
  begin(author) {
    this.root.querySelector(".author").textContent = author;
    this.root.classList.add("waiting");
    // Screen readers wait for the end instead of reading each token.
    this.live.setAttribute("aria-busy", "true");
    // A text node of its own: appending to it costs the same however long the answer is.
    this.text = document.createTextNode("");
    this.live.replaceChildren(this.text);
    this.figures.replaceChildren();
    showError(this.error, null);
    this.button("change-token").hidden = true;
    this.root.scrollIntoView({ block: "end" });
  }

  append(text) {
    followed(() => {
      this.root.classList.remove("waiting");
      this.text.appendData(text);
    });
  }

  fail(error) {
    followed(() => showError(this.error, error));
    this.button("change-token").hidden = error.status !== 401;
  }

  /** `figures` is a list of `[name, value]`. */
  end(figures) {
    this.live.setAttribute("aria-busy", "false");
    followed(() => {
      this.root.classList.remove("waiting");
      this.figures.replaceChildren(...figures.map(toFigure));
    });
  }
}

/** Keep the end in sight over `change`; whoever has scrolled up to read stays there. */
function followed(change) {
  const isAtEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < FOLLOW_PX;
  change();
  if (isAtEnd) scroller.scrollTop = scroller.scrollHeight;
}

function toFigure([name, value]) {
  const pair = document.createElement("div");
  const term = document.createElement("dt");
  const description = document.createElement("dd");
  term.textContent = name;
  description.textContent = value;
  pair.append(term, description);
  return pair;
}
