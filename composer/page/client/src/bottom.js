// In narrow windows the panel comes from below, half as high as the window or higher, by a handle to drag or press.

import { html } from "./dom.js";

/** @typedef {import("./store.js").Store} Store */

export const NARROW = "(max-width: 999.98px)";
export const isNarrow = () => matchMedia(NARROW).matches;

/** Further than this, a press is a drag and not a click. */
const CLICK = 4;
/** Below this part of the window, what is let go closes. */
const LOW = 0.22;
/** From this part on it becomes as high as it can. */
const HIGH = 0.62;

/** @param {HTMLElement} panel @param {Store} store */
export function createHandle(panel, store) {
  const page = document.getElementById("page");
  const handle = html(
    "button",
    { type: "button", class: "handle", "aria-controls": panel.id },
    html("i", { "aria-hidden": "true" }),
  );
  let start = null;
  let travelled = 0;

  function setFull(isFull) {
    panel.style.height = "";
    page.classList.toggle("full", isFull);
    handle.setAttribute("aria-expanded", String(isFull));
    handle.setAttribute("aria-label", isFull ? "Details at half height" : "Details at full height");
  }

  handle.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    handle.setPointerCapture(event.pointerId);
    start = { y: event.clientY, height: panel.offsetHeight };
    travelled = 0;
  });
  handle.addEventListener("pointermove", (event) => {
    if (!start) return;
    const by = start.y - event.clientY;
    travelled = Math.max(travelled, Math.abs(by));
    if (travelled <= CLICK) return;
    page.classList.remove("full");
    panel.style.height = `${Math.max(0, start.height + by)}px`;
  });
  handle.addEventListener("pointerup", () => {
    const part = panel.offsetHeight / innerHeight;
    const isDrag = start && travelled > CLICK;
    start = null;
    if (!isDrag) return;
    if (part < LOW) store.set({ panel: false });
    setFull(part > HIGH);
  });
  handle.addEventListener("pointercancel", () => {
    start = null;
    setFull(false);
  });
  handle.addEventListener("click", () => {
    // What ends a drag is no click.
    if (travelled <= CLICK) setFull(!page.classList.contains("full"));
    travelled = 0;
  });

  store.subscribe((state, previous) => {
    if (!state.panel && previous.panel) setFull(false);
    if (!isNarrow()) return;
    // There is room for one of both.
    if (state.panel && state.source && !(previous.panel && previous.source))
      store.set(previous.panel ? { panel: false } : { source: false });
  });
  matchMedia(NARROW).addEventListener("change", ({ matches }) => {
    if (matches && store.state.panel) store.set({ source: false });
  });
  setFull(false);
  return handle;
}
