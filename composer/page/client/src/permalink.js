// The state in the fragment: `#n=base&o=layer1,layer1.0&s=layer1.0.se&c=macs&i&z=1.25,0,310`.

import { WAYS } from "./trace.js";

/** @typedef {import("./types.js").PageData} PageData */

const PAUSE = 300;

/** What a fragment says; what makes no sense is left out. @param {PageData} data */
export function readFragment(fragment, data) {
  const patch = {};
  let look = null;
  for (const part of fragment.replace(/^#/, "").split("&")) {
    const at = part.indexOf("=");
    const [key, value] = at < 0 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)];
    if (key === "n" && data.networks.some((one) => one.key === value)) patch.network = value;
    else if (key === "o") patch.open = new Set(value.split(",").map(decoded).filter(Boolean));
    else if (key === "s" && decoded(value)) patch.selected = decoded(value);
    else if (key === "c" && isMode(value, data)) patch.colour = value;
    else if (key === "i") patch.onlyInserted = true;
    else if (key === "t") patch.trace = readTrace(value);
    else if (key === "k") patch.dimmed = new Set(value.split(",").map(decoded).filter(Boolean));
    else if (key === "q" && decoded(value)) patch.query = decoded(value);
    else if (key === "z") look = readLook(value);
  }
  return { patch, look };
}

/** The fragment of a state; what is as at first is left out. `look` is the middle of
 * what is seen; null for a picture that nobody moved. */
/** @param {PageData} data */
export function writeFragment(state, data, look) {
  const parts = [];
  if (state.network !== data.networks[0].key) parts.push(`n=${state.network}`);
  if (!isSame(state.open, data.open)) parts.push(`o=${[...state.open].sort().map(encoded).join(",")}`);
  if (state.selected !== null) parts.push(`s=${encoded(state.selected)}`);
  if (state.colour !== data.colour) parts.push(`c=${state.colour}`);
  if (state.onlyInserted) parts.push("i");
  if (state.trace) parts.push(`t=${state.trace.way},${encoded(state.trace.path)}`);
  if (state.dimmed.size) parts.push(`k=${[...state.dimmed].sort().map(encoded).join(",")}`);
  if (state.query.trim()) parts.push(`q=${encoded(state.query.trim())}`);
  if (look) parts.push(`z=${[look.scale.toFixed(3), Math.round(look.x), Math.round(look.y)].map(Number).join(",")}`);
  return parts.join("&");
}

function readTrace(value) {
  const [way, path] = value.split(",", 2).map(decoded);
  return WAYS.includes(way) && path ? { way, path } : null;
}

const isMode = (key, data) => key === "kind" || data.modes.some((one) => one.key === key);

function readLook(value) {
  const [scale, x, y] = value.split(",").map(Number);
  const isSensible = [scale, x, y].every((one) => Number.isFinite(one) && Math.abs(one) < 1e7) && scale > 0;
  return isSensible ? { scale, x, y } : null;
}

/** Text of a fragment; empty where it is garbage. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** Names stay readable: only what means something in a fragment is written otherwise. */
const encoded = (text) =>
  encodeURIComponent(text.toWellFormed?.() ?? text)
    .replaceAll("%2F", "/")
    .replaceAll("%3A", ":");

const isSame = (open, first) => open.size === first.length && first.every((one) => open.has(one));

/** Keeps the address in step with the state, and the state with the address. */
export function keepFragment({ store, current, apply }) {
  let timer = 0;
  let written = location.hash.slice(1);

  function write() {
    const next = writeFragment(store.state, store.data, current());
    if (next === written) return;
    written = next;
    try {
      history.replaceState(null, "", next ? `#${next}` : location.pathname + location.search);
    } catch {
      // A frame in a notebook has no address of its own.
    }
  }

  addEventListener("hashchange", () => {
    const found = location.hash.slice(1);
    if (found === written) return;
    written = found;
    apply(readFragment(found, store.data));
  });
  return () => {
    clearTimeout(timer);
    timer = setTimeout(write, PAUSE);
  };
}
