// Which part of the drawing is looked at: moved by hand, wheel, fingers and buttons.

import { between } from "./drawing/motion.js";
import { clearest, isClear, nearest } from "./free.js";

/** No smaller than this, but for a network that fits the canvas only then. */
const LEAST = 0.02;
const MOST = 4;
const MARGIN = 24;
/** What is looked at from further away than this is brought as near as that. */
const [FAR, NEAR] = [0.45, 0.8];
/** No picture is shown so small at first that its words cannot be read. */
export const READABLE = 0.72;

/**
 * @typedef {{x: number, y: number, scale: number}} Look  where the drawing's origin is on the canvas, and its scale
 *
 * @param {HTMLElement} canvas
 * @param {SVGGElement} world
 * @param {any} motion
 */
export function createViewport(canvas, world, motion) {
  /** @type {Look} */
  let look = { x: 0, y: 0, scale: 1 };
  let content = { width: 0, height: 0, start: { x: 0, y: 0 } };
  /** @type {() => import("./free.js").Area[]} */
  let covers = () => [];
  const listeners = new Set();

  const room = () => ({ width: canvas.clientWidth, height: canvas.clientHeight });

  function set(next, isByHand = true) {
    look = { ...next, scale: clamp(next.scale, least(), MOST) };
    world.setAttribute("transform", `translate(${round(look.x)} ${round(look.y)}) scale(${round(look.scale, 7)})`);
    for (const listener of listeners) listener(look, isByHand);
  }

  /** Zooms; what is under a point of the canvas stays there. */
  function zoom(factor, x = room().width / 2, y = room().height / 2) {
    motion.finish();
    const scale = clamp(look.scale * factor, least(), MOST);
    const ratio = scale / look.scale;
    set({ x: x - (x - look.x) * ratio, y: y - (y - look.y) * ratio, scale });
  }

  function pan(x, y) {
    motion.finish();
    set({ ...look, x: look.x + x, y: look.y + y });
  }

  /** Glides to another look. */
  function glide(next, isByHand = true) {
    const from = look;
    motion.run((share) => set(lookBetween(from, next, share), isByHand));
  }

  /** The scale at which everything is seen, no larger than it is drawn. */
  function fitting() {
    const { width, height } = room();
    const [wide, high] = [width, height].map((one) => Math.max(1, one - 2 * MARGIN));
    return Math.min(wide / content.width, high / content.height, 1);
  }

  const least = () => Math.min(LEAST, fitting());

  /** The look at which everything is seen, no larger than it is drawn; where that is too small, its beginning. */
  function whole(smallest = 0) {
    const { width, height } = room();
    const scale = Math.max(fitting(), smallest);
    const x = placed(content.width * scale, content.start.x * scale, width);
    return { x, y: placed(content.height * scale, content.start.y * scale, height), scale };
  }

  /** The part of the drawing that is seen, with a margin. */
  function seen(margin = 0) {
    const { width, height } = room();
    const [left, top] = [(-look.x - margin) / look.scale, (-look.y - margin) / look.scale];
    return {
      left,
      top,
      right: left + (width + 2 * margin) / look.scale,
      bottom: top + (height + 2 * margin) / look.scale,
    };
  }

  /** The nearest look at which an area of the drawing is seen, with nothing over it, as far as it has room. */
  function lookAt(area, { from = look, isWhole = false } = {}) {
    if (from.scale >= FAR) return nearest(from, area, room(), covers(), isWhole);
    const { width, height } = room();
    const { x, y } = area;
    const [right, down] = [area.width / 2, Math.min(area.height, 200) / 2];
    const centred = { x: width / 2 - (x + right) * NEAR, y: height / 2 - (y + down) * NEAR, scale: NEAR };
    return nearest(centred, area, room(), covers(), isWhole);
  }

  /** The look, near to another, at which the beginning and as many areas as can be are seen, with nothing over them. */
  function clear(from, areas) {
    const { width, height } = room();
    const ranges = [
      rangeOf(content.width * from.scale, content.start.x * from.scale, from.x, width),
      rangeOf(content.height * from.scale, content.start.y * from.scale, from.y, height),
    ];
    const [right, bottom] = [(2 * width) / from.scale, (2 * height) / from.scale];
    const near = areas.filter((one, at) => at === 0 || (one.x < right && one.y < bottom));
    return clearest(from, near, ranges, room(), covers());
  }

  /** The look at which an area is in the middle; of one that is larger, its beginning. */
  function lookInMiddle({ x, y, width, height }) {
    const { width: wide, height: high } = room();
    const scale = look.scale < FAR ? NEAR : look.scale;
    const along = (start, length, space) => space / 2 - (start + Math.min(length, (0.6 * space) / scale) / 2) * scale;
    return { x: along(x, width, wide), y: along(y, height, high), scale };
  }

  return {
    set,
    zoom,
    pan,
    glide,
    seen,
    whole,
    get: () => look,
    /** What is in the middle of the canvas, and the scale: the same in windows of any size. */
    centre: () => ({
      scale: look.scale,
      x: (room().width / 2 - look.x) / look.scale,
      y: (room().height / 2 - look.y) / look.scale,
    }),
    setCentre: ({ x, y, scale }) =>
      set({ scale, x: room().width / 2 - x * scale, y: room().height / 2 - y * scale }, false),
    room,
    content: () => content,
    /** `start` is where data comes in. */
    setContent: (width, height, start) => (content = { width, height, start }),
    /** What is shown first: everything, or its beginning where that would be too small to read. */
    first: () => whole(READABLE),
    restart: () => glide(whole(READABLE)),
    fit: () => glide(whole()),
    actual: () => zoomTo(1),
    lookAt,
    clear,
    reveal: (area) => glide(lookAt(area)),
    /** Whether an area is seen whole, with nothing over it. */
    isClear: (area) => isClear(look, area, room(), covers()),
    /** @param {() => import("./free.js").Area[]} find  what of the canvas is covered */
    setCovers: (find) => (covers = find),
    centreOn: (area) => glide(lookInMiddle(area)),
    subscribe: (listener) => listeners.add(listener),
  };

  function zoomTo(scale) {
    const { width, height } = room();
    const ratio = scale / look.scale;
    glide({ x: width / 2 - (width / 2 - look.x) * ratio, y: height / 2 - (height / 2 - look.y) * ratio, scale });
  }
}

/** Where an axis' origin may be at first, for a length of which the start is seen. */
function rangeOf(length, start, origin, room) {
  const ends = [MARGIN, room - MARGIN - length];
  const isBeginning = ends[1] < MARGIN && start < room / 2;
  return /** @type {[number, number]} */ (isBeginning ? [origin, origin] : ends.sort((one, other) => one - other));
}

/** Where an axis' origin is for a length to be in the middle of the room; where it is too long, for its start to be seen. */
function placed(length, start, room) {
  if (length <= room - 2 * MARGIN) return (room - length) / 2;
  return clamp(room / 2 - start, room - MARGIN - length, MARGIN);
}

/** @param {Look} from @param {Look} to @returns {Look} */
export const lookBetween = (from, to, share) => ({
  x: between(from.x, to.x, share),
  y: between(from.y, to.y, share),
  scale: between(from.scale, to.scale, share),
});

const clamp = (value, least, most) => Math.max(least, Math.min(most, value));

const round = (value, digits = 3) => Number(value.toFixed(digits));
