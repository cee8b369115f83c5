// The panes beside the canvas: what they leave of it, the drawing makes do with.

import { isNarrow } from "./bottom.js";
import { html } from "./dom.js";

/** @param {HTMLElement} canvas */
export function createSides(canvas) {
  const panel = html("aside", { id: "panel", "aria-label": "Details", hidden: true });
  const source = html("aside", { id: "source", "aria-label": "Spec", hidden: true });
  canvas.before(source);
  canvas.after(panel);

  /** Shows and hides both; whether one that is hidden now had the focus. */
  function update(state) {
    const focused = document.activeElement;
    panel.hidden = !state.panel;
    source.hidden = !state.source;
    return [panel, source].some((pane) => pane.hidden && pane.contains(focused));
  }

  return { panel, source, update };
}

/** Keeps what is seen where it is on the screen when a pane opens, and in the middle when the window changes. */
export function followSize(canvas, { store, scene, onChange }) {
  let [area, window] = [canvas.getBoundingClientRect(), [innerWidth, innerHeight]];

  new ResizeObserver(() => {
    const now = canvas.getBoundingClientRect();
    const isResized = now.width !== area.width || now.height !== area.height;
    const isWindow = innerWidth !== window[0] || innerHeight !== window[1];
    const { x, y, scale } = scene.viewport.get();
    const right = isWindow || store.state.two ? (now.width - area.width) / 2 : area.left - now.left;
    [area, window] = [now, [innerWidth, innerHeight]];
    if (right) scene.viewport.set({ x: x + right, y, scale }, false);
    const box = store.state.selected === null ? null : store.box(store.state.selected);
    const space = box && scene.areaOf(box.path);
    if (space && isNarrow() && store.state.panel) scene.viewport.centreOn(space);
    else if (space && isResized && !isWindow && !scene.viewport.isClear(space)) scene.reveal(box.path);
    onChange();
  }).observe(canvas);
  // The panel leaves little of a narrow window: what is chosen is in the middle of it.
  store.subscribe((state, previous) => {
    if (state.selected === previous.selected || state.selected === null || !state.panel || !isNarrow()) return;
    const space = scene.areaOf(store.box(state.selected)?.path);
    if (space) scene.viewport.centreOn(space);
  });
}
