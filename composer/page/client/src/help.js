// The keys, in a dialog.

import { html } from "./dom.js";
import { KEYS } from "./keyboard.js";

export function createHelp() {
  const close = html("button", { class: "close", "aria-label": "Close" }, "×");
  const rows = KEYS.map(([keys, what]) =>
    html(
      "tr",
      {},
      html("th", { scope: "row" }, ...keys.split(" ").map((key) => html("kbd", {}, key))),
      html("td", {}, what),
    ),
  );
  const element = html(
    "dialog",
    { id: "help", "aria-labelledby": "help-title" },
    html("h2", { id: "help-title" }, "Keys"),
    close,
    html("table", {}, html("tbody", {}, ...rows)),
    html("p", {}, "Drag to move, turn the wheel to zoom, click to select, double-click to open or close."),
  );
  close.addEventListener("click", () => element.close());
  element.addEventListener("click", (event) => event.target === element && element.close());
  return { element, open: () => element.open || element.showModal() };
}
