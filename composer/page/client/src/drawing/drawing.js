// A layout as SVG. Elements are kept by the paths of their boxes: what stays on the picture is moved, not made anew.

import { assign, svg } from "../dom.js";
import { closedContent, endContent, openContent } from "./content.js";
import { spoken, tooltip } from "./describe.js";
import { between } from "./motion.js";
import { visible } from "../text.js";
import { createWires } from "./wires.js";

/**
 * @typedef {object} Shown
 * @property {any} group
 * @property {any[]} own  what the box looks like by itself
 * @property {any} inside  what is in an open box
 * @property {any} box  null for inputs and outputs of the network
 * @property {string} form  what its look was made for
 * @property {string} look  its class of the style sheet
 * @property {{x: number, y: number, width: number, height: number}} place
 */

const isOutside = (clip, x, y, wide, high) =>
  x > clip.right || y > clip.bottom || x + wide < clip.left || y + high < clip.top;

/**
 * @param {SVGGElement} world  where everything is drawn
 * @param {boolean} isDown  whether data runs down, or to the right
 * @param {"box"|"inset"} role  boxes are items of a tree; insets show what is in it once more
 */
export function createDrawing(world, isDown, role = "box") {
  /** @type {Map<string, Shown>} */
  const shown = new Map();
  const root = insideGroup(world);
  let touched = new Set();
  let moves = [];
  let made = 0;

  /**
   * Draws a layout, and only what is within `clip` where there is one.
   *
   * @returns {((share: number) => void) & {size: number}}  moves everything that has changed from where it was, 0, to where it is, 1
   */
  function draw(layout, clip) {
    touched = new Set();
    moves = [];
    fill(root, layout, 0, 0, 1, clip);
    for (const key of shown.keys()) if (!touched.has(key)) shown.delete(key);
    const all = moves;
    const step = (share) => {
      for (const move of all) move(share);
    };
    return Object.assign(step, { size: all.length });
  }

  function fill(holder, layout, x, y, level, clip) {
    moves.push(...holder.wires.draw(layout, clip && shifted(clip, x, y)));
    let cursor = holder.boxes.firstChild;
    for (const placed of layout.boxes) {
      const [left, top] = [x + placed.x, y + placed.y];
      if (clip && isOutside(clip, left, top, placed.width, placed.height)) continue;
      const one = place(placed, level);
      if (one.group === cursor) cursor = cursor.nextSibling;
      else holder.boxes.insertBefore(one.group, cursor);
      if (placed.inside) fill(one.inside, placed.inside, left, top, level + 1, clip);
    }
    while (cursor) {
      const next = cursor.nextSibling;
      cursor.remove();
      cursor = next;
    }
  }

  /** The element of a box, at its place and with what it looks like now. */
  function place(placed, level) {
    const key = placed.box ? placed.box.path : placed.name;
    const known = shown.get(key);
    const one = known ?? create(key, level);
    touched.add(key);
    const { x, y, width, height } = placed;
    const form = `${placed.inside ? "open" : "closed"} ${width} ${height}`;
    const isReformed = form !== one.form || one.box !== placed.box;
    if (isReformed) reform(one, placed, form, isDown);
    if (!known) assign(one.group, { transform: `translate(${x} ${y})` });
    else if (isReformed || x !== one.place.x || y !== one.place.y)
      moves.push(moveOf(one, one.place, placed, isReformed));
    one.place = { x, y, width, height };
    return one;
  }

  /** @returns {Shown} */
  function create(key, level) {
    const item = { id: `box-${made++}`, role: "treeitem", "aria-level": level, "data-path": key };
    const group = svg("g", role === "box" ? item : { "data-inset": key });
    group.append(svg("title"));
    const one = { group, own: [], inside: null, box: undefined, form: "", place: null, look: "" };
    shown.set(key, one);
    return one;
  }

  return {
    draw,
    shown: (path) => shown.get(path) ?? null,
    all: () => shown.values(),
    /** What is inside an open box, or in the whole network. */
    holderOf: (path) => (path === null ? root : (shown.get(path)?.inside ?? null)),
  };
}

/** Makes what a box looks like anew: it opens, closes, changes its size, or is another one at the same path. */
function reform(one, placed, form, isDown) {
  const { box, inside, width, height } = placed;
  const isItem = one.group.hasAttribute("role");
  if (one.box !== box) name(one, placed, isItem);
  Object.assign(one, { box, form, look: lookOf(box, Boolean(inside)) });
  const isFocused = one.own.includes(document.activeElement);
  for (const old of one.own) old.remove();
  one.own = contentOf(placed, width, height, isDown);
  one.group.firstChild.after(...one.own);
  // Its button is another one now.
  if (isFocused) one.own.at(-1).focus({ preventScroll: true });
  if (box?.inner && isItem) assign(one.group, { "aria-expanded": String(Boolean(inside)) });
  if (inside && !one.inside) one.inside = insideGroup(one.group);
  if (!inside && one.inside) {
    one.inside.group.remove();
    one.inside = null;
  }
}

function contentOf({ box, name, inside }, width, height, isDown) {
  if (!box) return endContent(nameOfEnd(name), width, height);
  if (inside) return openContent(box, inside.width, inside.height, isDown);
  return closedContent(box, width, height, isDown);
}

const nameOfEnd = (name) => name.replace(/^(in|out):/, "");

/** What people who point at a box, or do not see it, are told. */
function name({ group }, { box, name: end }, isItem) {
  const label = box ? spoken(box) : `${end.startsWith("in:") ? "input" : "output"} ${visible(nameOfEnd(end))}`;
  const copies = box?.copies ? `${box.copies[0]} … ${box.copies.at(-1)}` : null;
  if (isItem) assign(group, { "aria-label": label, "data-copies": copies, "aria-expanded": null });
  group.firstChild.textContent = box ? tooltip(box) : label;
}

function shifted(clip, x, y) {
  return { left: clip.left - x, top: clip.top - y, right: clip.right - x, bottom: clip.bottom - y };
}

/** What is inside a container: wires below, boxes above. */
function insideGroup(parent) {
  const wires = svg("g", { class: "wires", "aria-hidden": "true" });
  const boxes = svg("g", { class: "boxes", role: "group" });
  const group = svg("g", { class: "inside", role: "presentation" }, wires, boxes);
  parent.append(group);
  return { group, boxes, wires: createWires(wires) };
}

/** The class of the style sheet that a box has. */
function lookOf(box, isOpen) {
  if (!box) return "k-other";
  if (isOpen && box.look === "inserted") return "inserted-frame";
  return isOpen && (box.look === "holds" || box.look.startsWith("k-")) ? "frame" : box.look;
}

/** From one place and size to another. */
function moveOf(one, from, to, isReformed) {
  const frame = isReformed ? one.own.find((element) => element.matches("rect.box:not(.sheet)")) : null;
  const rest = isReformed ? one.own.filter((element) => element !== frame && !element.matches(".toggle")) : [];
  const end = frame && [Number(frame.getAttribute("width")), Number(frame.getAttribute("height"))];
  return (share) => {
    assign(one.group, { transform: `translate(${between(from.x, to.x, share)} ${between(from.y, to.y, share)})` });
    if (!frame) return;
    assign(frame, { width: between(from.width, end[0], share), height: between(from.height, end[1], share) });
    for (const element of rest) element.style.opacity = share === 1 ? "" : String(share);
    if (one.inside) one.inside.group.style.opacity = share === 1 ? "" : String(share ** 2);
  };
}
