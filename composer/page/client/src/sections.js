// Parts that panels are made of.

import { html } from "./dom.js";
import { share } from "./numbers.js";

/** A part with a heading; nothing where it would be empty. */
export function section(heading, ...children) {
  const inside = children.flat().filter(Boolean);
  return inside.length ? html("section", {}, html("h3", {}, heading), ...inside) : null;
}

/** A button that reads as a link does. */
export function link(words, action, attributes = {}) {
  const button = html("button", { type: "button", class: "link", ...attributes }, words);
  button.addEventListener("click", action);
  return button;
}

/** Rows of a table; cells are texts or nodes, the first of a row is its head. */
export function rows(lines, attributes = {}) {
  const body = lines.map(([head, ...cells]) =>
    html("tr", {}, html("th", { scope: "row" }, head), ...cells.map((cell) => html("td", {}, cell ?? ""))),
  );
  return html("table", attributes, html("tbody", {}, ...body));
}

/** How much of a whole something is: a bar, and percent. */
export function bar(part, whole) {
  const fill = html("i");
  fill.style.width = `${whole ? Math.min(100, (100 * part) / whole) : 0}%`;
  return [html("span", { class: "bar", "aria-hidden": "true" }, fill), share(part, whole)];
}

/** A long list, of which the first few are shown until the others are asked for. */
export function long(items, shown, make) {
  const list = html("ul", { class: "paths" });
  const add = (some) => list.append(...some.map((one) => html("li", {}, make(one))));
  add(items.slice(0, shown));
  if (items.length > shown) {
    let at = shown;
    const more = html("li");
    const button = link("", () => {
      more.remove();
      add(items.slice(at, at + 200));
      at += 200;
      if (at < items.length) addMore();
      else list.lastElementChild?.querySelector("button")?.focus();
    });
    const addMore = () => {
      button.textContent = `${items.length - at} more`;
      more.append(button);
      list.append(more);
    };
    addMore();
  }
  return list;
}

/** A rule's number on a disc. */
export const badge = (number) => html("span", { class: "badge", "aria-label": `rule ${number}` }, String(number));
