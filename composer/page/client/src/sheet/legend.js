// What the colours and marks of a sheet mean: the kinds of its boxes, its rules, and the legend that the page shows.

import { assign, svg } from "../dom.js";
import { plain } from "./words.js";

const SWATCH = 22;
const ROW = 20;
const GAP = 18;
const LEAST = 420;

/** As composer/draw/legend.py tells them, in its order. */
const KINDS = {
  "k-convolution": "convolution",
  "k-linear": "linear",
  "k-normalisation": "normalisation",
  "k-activation": "activation",
  "k-pooling": "pooling",
  "k-merge": "merge",
  "k-other": "other",
  "k-closed-block": "closed block",
  "k-attention": "attention of the backbone",
};
const STATES = {
  helper: "what inserted attention needs around it",
  failed: "has a mistake",
  unreached: "needs a node that has one",
};

/**
 * @param {SVGElement} element  the sheet, in the document
 * @param {{scene: any, store: import("../store.js").Store}[]} panes
 * @param {HTMLElement} legend
 */
export function drawnLegend(element, panes, legend, room) {
  const group = svg("g", { class: "legend" });
  element.append(group);
  const entries = entriesOf(panes);
  const { width, height } = flow(group, entries, Math.max(room, LEAST));
  const scale = /** @type {HTMLElement|null} */ (legend.querySelector(".scale"));
  if (!scale) return { group, width, height };
  // As wide as its words, however narrow the window is.
  legend.classList.add("wide");
  const told = drawnHtml(scale);
  legend.classList.remove("wide");
  assign(told.group, { transform: `translate(0 ${height + ROW / 2})` });
  group.append(told.group);
  return { group, width: Math.max(width, told.width), height: height + ROW / 2 + told.height };
}

/** Signs and their meaning, of what is on the picture. */
function entriesOf(panes) {
  const [{ store }] = panes;
  const shown = panes.flatMap(({ scene }) => [...scene.drawing.all(), ...scene.insets.all()]).filter(({ box }) => box);
  const looks = new Set(shown.map(({ look }) => look));
  const isByKind = store.state.colour === "kind";
  const kinds = isByKind ? Object.keys(KINDS).filter((look) => looks.has(look)) : [];
  const rules = looks.has("inserted") || looks.has("holds") ? store.data.rules.filter(({ use }) => use) : [];
  const copied = shown.some(({ box }) => (box.copies?.length ?? 1) > 1);
  return [
    ...kinds.map((look) => ({ look, words: KINDS[look] })),
    ...rules.map(({ number, use, where, places }) => ({
      look: "inserted",
      number: String(number),
      words: `${use}: inserted ${where}, ${places} ${places === 1 ? "place" : "places"}`,
    })),
    ...Object.keys(STATES)
      .filter((look) => looks.has(look))
      .map((look) => ({ look, words: STATES[look] })),
    ...(copied ? [{ words: "so many copies, drawn once", sign: "×N" }] : []),
  ];
}

/** Entries in rows as wide as there is room. */
function flow(group, entries, room) {
  let [x, y, width] = [0, 0, 0];
  for (const { look, words, number, sign } of entries) {
    const entry = svg("g", { class: look ?? null });
    if (look) entry.append(svg("rect", { class: "box", y: 3, width: SWATCH, height: 13, rx: 3 }));
    if (number) entry.append(svg("circle", { class: "pill", cx: SWATCH - 1, cy: 4, r: 8 }));
    if (number) entry.append(plain(number, SWATCH - 1, 8, "badge on mid"));
    if (sign) entry.append(plain(sign, 0, 13, "name"));
    const told = plain(words, SWATCH + (number ? 14 : 8), 13);
    entry.append(told);
    group.append(entry);
    const length = Number(told.getAttribute("x")) + told.getComputedTextLength();
    if (x > 0 && x + length > room) [x, y] = [0, y + ROW];
    assign(entry, { transform: `translate(${x} ${y})` });
    width = Math.max(width, x + length);
    x += length + GAP;
  }
  return { width, height: entries.length ? y + ROW : 0 };
}

/** What an element of the page looks like, as shapes and lines of words. */
function drawnHtml(root) {
  const group = svg("g");
  const from = root.getBoundingClientRect();
  const place = ({ left, top, width, height }) => ({ x: left - from.left, y: top - from.top, width, height });
  const walk = (element) => {
    const look = getComputedStyle(element);
    if (look.display === "none") return;
    if (element !== root) {
      const area = place(element.getBoundingClientRect());
      const line = Number.parseFloat(look.borderTopWidth);
      const isFilled = !/^(transparent|rgba\(0, 0, 0, 0\))$/.test(look.backgroundColor);
      const stroke = line ? { stroke: look.borderTopColor, "stroke-width": line } : {};
      if (line && look.borderTopStyle === "dashed") stroke["stroke-dasharray"] = "3 2";
      if (isFilled || line)
        group.append(svg("rect", { ...area, ...stroke, fill: isFilled ? look.backgroundColor : "none" }));
    }
    for (const node of element.childNodes) {
      if (node instanceof Element) walk(node);
      else for (const [words, area] of linesOf(node)) group.append(line(words, place(area), look));
    }
  };
  walk(root);
  return { group, width: from.width, height: from.height };
}

function line(words, { x, y, height }, { color, fontSize, fontWeight }) {
  const size = Number.parseFloat(fontSize);
  const element = plain(words, x, y + height / 2 + 0.35 * size);
  element.style.cssText = `fill:${color};font-size:${fontSize};font-weight:${fontWeight}`;
  return element;
}

/** The words of a text node, by the lines that they stand in. @returns {[string, DOMRect][]} */
function linesOf(node) {
  /** @type {[string, DOMRect][]} */
  const found = [];
  const range = document.createRange();
  for (const { 0: word, index } of node.data.matchAll(/\S+/g)) {
    range.setStart(node, index);
    range.setEnd(node, index + word.length);
    const area = range.getBoundingClientRect();
    const last = found.at(-1);
    if (last && Math.abs(last[1].top - area.top) < 2) last[0] += ` ${word}`;
    else found.push([word, area]);
  }
  return found;
}
