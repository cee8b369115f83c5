// What happened in words, for screen readers; some of it for everybody.

import { html } from "./dom.js";

const SHOWN = 3000;
const PER_LETTER = 30;

export function createStatus() {
  const element = html("div", { id: "status", class: "over", role: "status" });
  let timer = 0;

  function say(words, isShown = false) {
    element.textContent = words;
    element.classList.toggle("shown", isShown);
    clearTimeout(timer);
    timer = setTimeout(() => element.classList.remove("shown"), SHOWN + PER_LETTER * words.length);
  }

  return { element, say };
}
