// The drawing on its canvas: what the store says, laid out, drawn and moved into view.

import { membersOf, shapesOf } from "./crowd.js";
import { createDrawing } from "./drawing/drawing.js";
import { createMotion } from "./drawing/motion.js";
import { svg } from "./dom.js";
import { createInsets } from "./insets.js";
import { createLayouts } from "./layout/layout.js";
import { countShown, shownPath } from "./open.js";
import { setCharacters } from "./text.js";
import { createViewport, lookBetween } from "./viewport.js";

/** @typedef {import("./store.js").Store} Store */

/** With more boxes than this, only those near to what is seen have elements. */
const MANY = 1500;
/** More things than this do not move, they jump. */
const MOST_MOVES = 1200;
/** Beyond what is seen, in pixels of the screen. */
const AROUND = 600;
/** As high as the words above what is in an open box. */
const HEAD = 24;
/** When more boxes than this are near to what is seen, they are shown together; they are a few pixels large then. */
const CROWD = 600;
const NOWHERE = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
/** Words are left out that nobody could read. */
const ILLEGIBLE = 0.3;

/** @param {HTMLElement} canvas @param {Store} store @param {string} id  of the picture */
export function createScene(canvas, store, id) {
  setCharacters(store.data.characters);
  const { direction } = store.data;
  const layouts = createLayouts(store.data);
  const world = svg("g", { class: "world", role: "presentation" });
  const picture = svg("svg", { id, class: "cg drawing", role: "tree", tabindex: "0" }, world);
  const motion = createMotion();
  const crowd = svg("g", { class: "crowd", "aria-hidden": "true" });
  world.append(crowd);
  const drawing = createDrawing(world, direction === "TB");
  const insets = createInsets(world, store, layouts.ofContainer);
  const viewport = createViewport(canvas, world, motion);
  const listeners = new Set();
  let layout = null;
  let clip = null;
  let isClipped = false;
  let crowdOf = null;
  let still = null;
  let isOpened = false;

  /** Draws the store's state. */
  function render() {
    motion.finish();
    const before = still && layout ? areaOf(still) : null;
    const { open } = store.state;
    const isFirst = layout === null;
    layout = layouts.ofNetwork(store.network().root, open);
    drawBeside();
    isClipped = countShown(store.network().root, open) > MANY;
    const after = before && areaOf(still);
    still = null;
    const now = viewport.get();
    const next = before && after ? lookAfter(now, before, after) : now;
    clip = isClipped ? clipAt(next) : null;
    const step = drawPart();
    for (const listener of listeners) listener();
    const move = (share) => {
      step(share);
      if (before) viewport.set(lookBetween(now, next, share), false);
    };
    motion.run(move, !isFirst && !isClipped && step.size < MOST_MOVES);
  }

  function drawBeside() {
    const { width, height } = insets.draw(layout, viewport.room());
    viewport.setContent(width, height, startOf(layout));
  }

  /** The look after a box has moved: its upper left corner, at which its button is, stays; what was opened is seen. */
  function lookAfter(now, before, after) {
    const { scale } = now;
    const look = { x: now.x + (before.x - after.x) * scale, y: now.y + (before.y - after.y) * scale, scale };
    return isOpened ? viewport.lookAt(after, { from: look, isWhole: true }) : look;
  }

  function clipAt({ x, y, scale }) {
    const { width, height } = viewport.room();
    const at = (place, origin) => (place - origin) / scale;
    return {
      left: at(-AROUND, x),
      top: at(-AROUND, y),
      right: at(width + AROUND, x),
      bottom: at(height + AROUND, y),
    };
  }

  /** Draws what is within the clip: box by box, or all together where they are too many. */
  function drawPart() {
    const isCrowd = clip !== null && viewport.get().scale < ILLEGIBLE && countWithin(layout, clip) > CROWD;
    if (crowdOf !== (isCrowd ? layout : null)) {
      crowdOf = isCrowd ? layout : null;
      crowd.replaceChildren(...(isCrowd ? shapesOf(membersOf(layout)) : []));
    }
    return drawing.draw(layout, isCrowd ? NOWHERE : clip);
  }

  /** Draws what comes into sight when only a part of the picture has elements. */
  function refill() {
    if (!isClipped || clip === null) return;
    const seen = viewport.seen(AROUND / 4);
    const isCovered =
      seen.left >= clip.left && seen.top >= clip.top && seen.right <= clip.right && seen.bottom <= clip.bottom;
    const next = viewport.seen(AROUND);
    const isApart = crowdOf !== null && countWithin(layout, next) <= CROWD;
    if (isCovered && !isApart) return;
    clip = next;
    drawPart()(1);
    for (const listener of listeners) listener();
  }

  /** Draws what is out of sight too; the size of it all. */
  function drawWhole() {
    motion.finish();
    clip = null;
    drawPart()(1);
    for (const listener of listeners) listener();
    return layout;
  }

  /** Draws what is looked at, after the whole was drawn. */
  function drawSeen() {
    clip = isClipped ? viewport.seen(AROUND) : null;
    drawPart()(1);
    for (const listener of listeners) listener();
    viewport.set(viewport.get(), false);
  }

  viewport.subscribe((look) => {
    picture.classList.toggle("far", look.scale < ILLEGIBLE);
    refill();
  });

  /** Where a box is on the drawing, or the innermost one around it that is there. */
  function areaOf(path) {
    const network = store.network();
    const target = shownPath(network, store.state.open, path);
    let found = null;
    let [x, y, at] = [0, 0, layout];
    for (const one of [...network.around(target), target]) {
      const placed = at?.boxes.find(({ box }) => box?.path === one);
      if (!placed) return found;
      [x, y, at] = [x + placed.x, y + placed.y, placed.inside];
      found = { x, y, width: placed.width, height: placed.height };
    }
    return found;
  }

  /** Where boxes are, of open ones their heads, and what stands beside the network; what data comes to is the first. */
  function areas() {
    const around = ({ x, y, width, height, inside }, left, top) => [
      { x: left + x, y: top + y, width, height: inside ? Math.min(HEAD, height) : height },
      ...(inside?.boxes ?? []).flatMap((one) => around(one, left + x, top + y)),
    ];
    return [...layout.boxes, ...insets.placed()].flatMap((one) => around(one, 0, 0));
  }

  return {
    picture,
    world,
    areas,
    viewport,
    drawing,
    insets,
    render,
    /** Draws what stands beside the network anew, after the canvas has another size. */
    drawBeside() {
      drawBeside();
      for (const listener of listeners) listener();
    },
    drawWhole,
    drawSeen,
    /** When it draws next, this box stays where it is on the screen; or, as it opens, moves as far as it must to be seen. */
    keep(path, isOpening = false) {
      [still, isOpened] = [path, isOpening];
    },
    areaOf,
    layout: () => layout,
    /** Moves a box into view. */
    reveal(path) {
      const area = areaOf(path);
      if (area) viewport.reveal(area);
    },
    /** Calls back when elements have come or gone. */
    onDraw: (listener) => listeners.add(listener),
  };
}

/** The middle of the first thing that data comes to. */
function startOf({ boxes }) {
  const [first] = boxes;
  return first ? { x: first.x + first.width / 2, y: first.y + first.height / 2 } : { x: 0, y: 0 };
}

/** How many boxes of a layout are within a part of the drawing. */
function countWithin({ boxes }, { left, top, right, bottom }) {
  return boxes.reduce((sum, { x, y, width, height, inside }) => {
    if (x > right || y > bottom || x + width < left || y + height < top) return sum;
    const shifted = { left: left - x, top: top - y, right: right - x, bottom: bottom - y };
    return sum + 1 + (inside ? countWithin(inside, shifted) : 0);
  }, 0);
}
