// The buttons that keep what leads to a node, or what it leads to, and dim the rest.

import { html } from "./dom.js";
import { tracedFrom } from "./flow.js";

/** @typedef {import("./store.js").Store} Store */

const WORDS = { up: "Upstream", down: "Downstream", both: "Both" };
export const WAYS = ["both", "up", "down"];

/** What the state traces in the network that is shown; null if nothing. @param {Store} store */
export function traceOf(store) {
  const { trace } = store.state;
  const box = trace && store.box(trace.path);
  return box ? tracedFrom(store.network(), store.data.layouts, box.path, trace.way) : null;
}

/** The next way to trace the selected node: both, up, down, none. @param {Store} store */
export function traceNext(store) {
  const { selected, trace } = store.state;
  if (selected === null) return;
  const way = WAYS[trace?.path === selected ? WAYS.indexOf(trace.way) + 1 : 0];
  store.set({ trace: way ? { path: selected, way } : null });
}

/** @param {Store} store */
export function traceButtons(store, path) {
  const buttons = Object.entries(WORDS).map(([way, words]) => {
    const button = html("button", { type: "button", "data-trace": way, "data-path": path }, words);
    button.addEventListener("click", () => {
      const isOn = button.getAttribute("aria-pressed") === "true";
      store.set({ trace: isOn ? null : { path, way } });
    });
    return button;
  });
  return html("div", { class: "trace", role: "group", "aria-label": "Trace" }, html("span", {}, "Trace"), ...buttons);
}

/** Which of the buttons in an element is on. @param {Store} store */
export function pressTrace(element, store) {
  const { trace } = store.state;
  for (const button of element.querySelectorAll("[data-trace]")) {
    const isOn = trace?.path === button.dataset.path && trace.way === button.dataset.trace;
    button.setAttribute("aria-pressed", String(isOn));
  }
}

/** What is traced, in words. @param {Store} store */
export function toldTrace(store) {
  const traced = traceOf(store);
  if (!traced) return "Everything is shown again";
  const { path, way } = store.state.trace;
  const where = { up: "upstream of", down: "downstream of", both: "upstream and downstream of" }[way];
  return `${traced.count} operations are ${where} ${path}; Escape shows everything again`;
}
