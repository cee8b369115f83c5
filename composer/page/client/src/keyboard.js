// Keys: those of the drawing, and those that work anywhere but in fields.

import { shownPath } from "./open.js";
import { traceNext } from "./trace.js";

/** Where keys are words, and not orders. */
const FIELDS = 'input:not([type="radio"]), select, textarea, [contenteditable]';

/** What the help shows. */
export const KEYS = [
  ["↓ ↑", "next and previous box of the container"],
  ["→ ←", "into an open container, and out of it"],
  ["Home End", "first and last box of the container"],
  ["Enter", "open or close the selected container"],
  ["Shift Enter", "open or close everything in it"],
  ["+ − 0 f", "zoom in, zoom out, actual size, fit"],
  ["/", "search: words, or a condition such as stage >= 2 and kernel_size == 3"],
  ["i", "only inserted attention"],
  ["t", "trace the selected box: all before and behind it, only before, only behind, nothing"],
  ["k", "kinds of boxes: what their colours mean, and switches that dim them"],
  ["b", "base network and back; of a difference, before and after"],
  ["d", "details of the selected box"],
  ["y", "the spec it is written in"],
  ["s p", "save what is shown as SVG, or as PNG"],
  ["Escape", "end a trace, then close what is open, then select nothing"],
  ["?", "this help"],
];

export function listenToKeys({ store: whole, panes, search, help, kinds, save }) {
  // What keys are meant for: the pane that they were pressed in, or that shows what is selected.
  let { store, scene, actions } = panes[0];

  function aim(target) {
    const focused = panes.find((pane) => pane.scene.picture.contains(target));
    const shown = panes.find((pane) => pane.store.state.network === whole.state.network && !pane.canvas.hidden);
    ({ store, scene, actions } = focused ?? shown ?? panes[0]);
  }

  /** The selected box as far as it is on the picture. */
  function current() {
    const { selected, open } = store.state;
    const box = selected === null ? null : store.box(selected);
    return box ? store.network().entry(shownPath(store.network(), open, box.path)) : null;
  }

  function go(box) {
    if (!box) return;
    store.select(box.path, { panel: false });
    scene.reveal(box.path);
  }

  /** Another box of the same container. */
  function along(pick) {
    const entry = current();
    const boxes = entry ? entry.view.boxes : store.network().root.boxes;
    go(boxes[pick(entry ? boxes.indexOf(entry.box) : -1, boxes.length)]);
  }

  function into() {
    const entry = current();
    if (!entry) along(() => 0);
    else if (!entry.box.inner) return;
    else if (!store.state.open.has(entry.box.path)) actions.toggle(entry.box.path);
    else go(entry.box.inner.boxes[0]);
  }

  function out() {
    const entry = current();
    if (entry?.parent) go(store.network().entry(entry.parent).box);
  }

  const inDrawing = {
    ArrowDown: () => along((at, count) => Math.min(at + 1, count - 1)),
    ArrowUp: () => along((at) => Math.max(at - 1, 0)),
    ArrowRight: into,
    ArrowLeft: out,
    Home: () => along(() => 0),
    End: () => along((_, count) => count - 1),
    Enter: (event) => {
      const path = current()?.box.path ?? null;
      if (event.shiftKey) actions.toggleBelow(path);
      else if (path !== null) actions.toggle(path);
    },
    " ": () => current() && actions.toggle(current().box.path),
  };

  const anywhere = {
    "+": () => scene.viewport.zoom(1.25),
    "=": () => scene.viewport.zoom(1.25),
    "-": () => scene.viewport.zoom(0.8),
    0: () => scene.viewport.actual(),
    f: () => scene.viewport.fit(),
    "/": () => search.focus(),
    "?": () => help.open(),
    i: () => actions.setOnlyInserted(!store.state.onlyInserted),
    t: () => traceNext(whole),
    k: () => kinds.toggle(),
    b: () => {
      const keys = whole.data.networks.map((one) => one.key);
      if (keys.length > 1) actions.setNetwork(keys[(keys.indexOf(whole.state.network) + 1) % keys.length]);
      if (!whole.state.two) return;
      aim(null);
      scene.picture.focus({ preventScroll: true });
    },
    d: () => store.set({ panel: !store.state.panel }),
    y: () => store.set({ source: !store.state.source }),
    s: () => save("svg"),
    p: () => save("png"),
    Escape: () => {
      const { panel, source, trace } = whole.state;
      if (trace) whole.set({ trace: null });
      else if (!kinds.close()) store.set(panel || source ? { panel: false, source: false } : { selected: null });
      const { picture } = scene;
      if (!picture.contains(document.activeElement)) picture.focus({ preventScroll: true });
    },
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {Element} */ (event.target);
    if (target.closest("dialog") || (target.closest(FIELDS) && event.key !== "Escape")) return;
    aim(target);
    // Where nothing has the focus, keys are meant for the drawing.
    const isOnDrawing = scene.picture.contains(target) || target === document.body;
    const isOnButton = target.closest("button, a, [role=button]") && [" ", "Enter"].includes(event.key);
    if (isOnButton && !isOnDrawing) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = (isOnDrawing && inDrawing[event.key]) || anywhere[key];
    if (!action) return;
    if (target === document.body && event.key in inDrawing) scene.picture.focus({ preventScroll: true });
    event.preventDefault();
    action(event);
  });
}
