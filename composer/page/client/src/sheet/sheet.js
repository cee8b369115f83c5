// The drawing on a sheet of its own, to be saved or printed: all that is open, what stands beside it, and the legend.

import { assign, svg } from "../dom.js";
import { visible } from "../text.js";
import { drawnLegend } from "./legend.js";
import { plain } from "./words.js";

const MARGIN = 20;
const HEADING = 58;
const APART = 48;
/** What only those need who are at the page itself. */
const LIVE = [
  "id",
  "role",
  "tabindex",
  "transform-origin",
  "data-path",
  "data-inset",
  "data-copies",
  "data-own",
  "data-room",
];

/**
 * An element in the document, so that the page's styles hold for it; `remove` takes it away again.
 *
 * @param {{scene: any, store: import("../store.js").Store, canvas: HTMLElement}[]} panes
 * @param {HTMLElement} legend  as the page shows it
 */
export function createSheet(panes, legend) {
  const [{ store }] = panes;
  const shown = panes.filter(({ canvas }) => !canvas.hidden).reverse();
  const element = svg("svg", { class: "cg drawing standalone" });
  document.body.append(element);
  let right = 0;
  let bottom = 0;
  for (const pane of shown) {
    const { width, height, drawing } = wholeOf(pane);
    const top = HEADING + captionOf(element, pane, right, shown.length > 1);
    assign(drawing, { transform: `translate(${right} ${top})` });
    element.append(drawing);
    [right, bottom] = [right + width + APART, Math.max(bottom, top + height)];
  }
  right -= APART;
  const drawn = drawnLegend(element, shown, legend, right);
  assign(drawn.group, { transform: `translate(0 ${bottom + MARGIN})` });
  const facts = [document.querySelector("#head p")?.textContent, besideFirst(store)].filter(Boolean).join(" · ");
  const heading = [plain(store.data.name, 0, 15, "title"), plain(facts, 0, 33, "faint")];
  element.append(...heading);
  const least = Math.max(right, drawn.width, ...heading.map((one) => one.getComputedTextLength()));
  const [width, height] = [least + 2 * MARGIN, bottom + MARGIN + drawn.height + 2 * MARGIN].map(Math.ceil);
  const paper = svg("rect", { class: "paper", x: -MARGIN, y: -MARGIN, width, height });
  element.prepend(svg("title", {}, visible(store.data.name)), paper);
  assign(element, { viewBox: `${-MARGIN} ${-MARGIN} ${width} ${height}`, width, height });
  return { element, width, height, remove: () => element.remove() };
}

/** What a network is called that is not the first of its page. @param {import("../store.js").Store} store */
function besideFirst({ data, state }) {
  const at = data.networks.findIndex(({ key }) => key === state.network);
  return data.changes || at <= 0 ? "" : data.networks[at].label;
}

/** A copy of all that a pane has, with what is out of its sight. */
function wholeOf({ scene, store }) {
  scene.drawWhole();
  const { width, height } = scene.viewport.content();
  const drawing = scene.world.cloneNode(true);
  scene.drawSeen();
  drawing.classList.toggle("only-inserted", store.state.onlyInserted);
  drawing.classList.toggle("traced", store.state.trace !== null);
  for (const one of drawing.querySelectorAll(".toggle")) one.remove();
  for (const one of [drawing, ...drawing.querySelectorAll("*")])
    for (const name of one.getAttributeNames())
      if (LIVE.includes(name) || name.startsWith("aria-")) one.removeAttribute(name);
  return { width, height, drawing };
}

/** The name and the numbers of one of two networks above its drawing; how much room they take. */
function captionOf(element, { store }, x, isWanted) {
  if (!isWanted) return 0;
  const [name, ...numbers] = document.getElementById(`caption-${store.state.network}`).childNodes;
  element.append(plain(name.textContent, x, HEADING, "name"));
  element.append(
    plain(
      numbers
        .map((one) => one.textContent)
        .join("")
        .trim(),
      x,
      HEADING + 15,
      "faint",
    ),
  );
  return 40;
}
