// A canvas with the drawing of a network on it, and what pointers do there.

import { createActions } from "./actions.js";
import { listenToClicks } from "./clicks.js";
import { listenToGestures } from "./gestures.js";
import { createMarks } from "./marks.js";
import { createScene } from "./scene.js";

/** @typedef {import("./store.js").Store} Store */

/**
 * @param {HTMLElement} canvas
 * @param {Store} store
 * @param {{id: string, label: string, say: (words: string, isShown?: boolean) => void}} options
 */
export function createPane(canvas, store, { id, label, say }) {
  const scene = createScene(canvas, store, id);
  const actions = createActions(store, scene, say);
  const marks = createMarks(scene, store);
  scene.picture.setAttribute("aria-label", label);

  function listen() {
    store.subscribe((state, previous) => {
      if (canvas.hidden) return;
      if (state.open !== previous.open || state.network !== previous.network) scene.render();
    });
    store.onReveal(scene.reveal);
    listenToGestures(canvas, scene.viewport);
    listenToClicks({ store, scene, actions });
  }

  return { canvas, store, scene, actions, marks, listen };
}
