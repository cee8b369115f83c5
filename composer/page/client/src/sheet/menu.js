// The button that saves the view, with the formats below it.

import { html } from "../dom.js";

const FORMATS = [
  ["svg", "SVG", "s"],
  ["png", "PNG", "p"],
];

/** @param {HTMLElement} button @param {(kind: "svg"|"png") => void} save */
export function createSaveMenu(button, save) {
  const items = FORMATS.map(([kind, words, key]) => {
    const item = html(
      "button",
      { type: "button", role: "menuitem", tabindex: "-1" },
      `Save as ${words}`,
      html("kbd", {}, key),
    );
    item.addEventListener("click", () => {
      show(false);
      save(/** @type {"svg"|"png"} */ (kind));
    });
    return item;
  });
  const list = html("div", { id: "save", role: "menu", "aria-label": "Save the view", hidden: true }, ...items);
  const element = html("span", { class: "saving" }, button, list);
  for (const [name, value] of [
    ["aria-haspopup", "menu"],
    ["aria-controls", list.id],
    ["aria-expanded", "false"],
  ])
    button.setAttribute(name, value);

  function show(isShown) {
    if (list.contains(document.activeElement)) button.focus();
    list.hidden = !isShown;
    button.setAttribute("aria-expanded", String(isShown));
    if (isShown) items[0].focus();
  }

  button.addEventListener("click", () => show(list.hidden));
  element.addEventListener("focusout", (event) => {
    if (!element.contains(event.relatedTarget)) show(false);
  });
  element.addEventListener("keydown", (event) => {
    const at = items.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (list.hidden || (!step && event.key !== "Escape")) return;
    event.preventDefault();
    event.stopPropagation();
    if (step) items[(at + step + items.length) % items.length].focus();
    else show(false);
  });
  return element;
}
