// A difference in two panes where the window is wide: before at the left, after at the right, looked at together.

import { html } from "../dom.js";
import { halfOf } from "./half.js";
import { linkViews } from "./level.js";
import { alike } from "../numbers.js";
import { createPane } from "../pane.js";

/** @typedef {import("../store.js").Store} Store */

const WIDE = "(min-width: 1200px)";

/** The store as the pane sees it that is always there: two panes show a network each, one shows the chosen one. */
export function mainHalf(store) {
  if (!store.data.changes) return store;
  return halfOf(store, (state) => (state.two ? store.pairs.after : state.network));
}

/**
 * Adds the pane of the network before; it is there as long as the window is wide enough.
 *
 * @param {Store} store
 * @param {ReturnType<typeof createPane>} main
 */
export function createCompared(store, main, say) {
  const { before } = store.pairs;
  const canvas = html("section", { id: "before", class: "canvas", "aria-label": "The network before", hidden: true });
  main.canvas.before(canvas);
  const pane = createPane(
    canvas,
    halfOf(store, () => before),
    {
      id: "drawing-before",
      label: `Boxes of ${store.data.networks[1].label}`,
      say,
    },
  );
  const link = linkViews(main, pane, store);
  const [after, its] = captions(store);
  canvas.before(its);
  main.canvas.before(after);
  canvas.append(pane.scene.picture);
  pane.listen();
  new ResizeObserver(() => {
    if (canvas.hidden) return;
    pane.scene.drawBeside();
    link.follow();
  }).observe(canvas);

  /** Shows or hides it; the main pane is narrower then, and looks at the same. */
  function update({ two }) {
    if (canvas.hidden !== two) return;
    for (const one of [canvas, after, its]) one.hidden = !two;
    document.getElementById("page").classList.toggle("two", two);
    if (two) pane.scene.render();
    link.follow();
  }

  const query = matchMedia(WIDE);
  query.addEventListener("change", () => store.set({ two: query.matches }));
  store.subscribe(update);
  store.set({ two: query.matches });
  return { pane, follow: link.follow, settle: link.settle };
}

/** What each pane shows, after and before: numbers in equal digits. */
function captions({ data: { networks } }) {
  const numbers = ["parameters", "macs"].map((key) => alike(networks.map((one) => one[key])));
  return networks.map(({ key, label }, at) =>
    html(
      "p",
      { class: "caption", id: `caption-${key}`, hidden: true },
      html("b", {}, label),
      ` ${numbers[0][at]} parameters · ${numbers[1][at]} MACs`,
    ),
  );
}
