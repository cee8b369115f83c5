// The view as a file: SVG, or PNG at twice the size of the screen.

import { isInFrame } from "../dom.js";
import { inlined } from "./inline.js";
import { createSheet } from "./sheet.js";

const TWICE = 2;
/** What every browser can draw at once, in pixels: the side of a picture, and its area. */
const MOST_SIDE = 16_384;
const MOST_AREA = 2 ** 28;

/**
 * @param {{panes: any[], legend: HTMLElement, name: string, say: (words: string, isShown: boolean) => void}} options
 * @returns {(kind: "svg"|"png") => Promise<void>}
 */
export function createSaver({ panes, legend, name, say }) {
  let isBusy = false;

  return async (kind) => {
    if (isBusy) {
      say("The picture before is still being made", true);
      return;
    }
    isBusy = true;
    try {
      const file = `${name.replace(/[^\p{L}\p{N}._-]+/gu, "_")}.${kind}`;
      const sheet = textOf();
      const body = kind === "svg" ? new Blob([sheet.text], { type: "image/svg+xml" }) : await pixels(sheet);
      download(body, file);
      const told = `${file}: ${sheet.width} × ${sheet.height} pixels${kind === "png" ? ", each drawn as 2 × 2" : ""}`;
      // Whether a frame lets its page save, no page can know.
      say(isInFrame() ? `${told}; it is saved if the frame around the page allows it` : told, true);
    } catch (error) {
      say(`No picture was made. ${error.message}`, true);
    } finally {
      isBusy = false;
    }
  };

  function textOf() {
    const { element, width, height, remove } = createSheet(panes, legend);
    try {
      return { text: inlined(element), width, height };
    } finally {
      remove();
    }
  }
}

async function pixels({ text, width, height }) {
  const [wide, high] = [TWICE * width, TWICE * height];
  const size = `${wide.toLocaleString("en")} × ${high.toLocaleString("en")} pixels`;
  const hint = "Close some blocks, or save it as SVG, which has no such limit.";
  if (Math.max(wide, high) > MOST_SIDE || wide * high > MOST_AREA)
    throw new Error(`As PNG it would have ${size}, more than browsers can draw. ${hint}`);
  const image = new Image();
  // As data, not as a `blob:`, which the page's policy forbids.
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: wide, height: high });
  const body = await image.decode().then(
    () => {
      canvas.getContext("2d")?.drawImage(image, 0, 0, wide, high);
      return new Promise((done) => canvas.toBlob(done, "image/png"));
    },
    () => null,
  );
  if (!body) throw new Error(`The browser could not draw ${size}. ${hint}`);
  return body;
}

function download(body, file) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(body);
  link.download = file;
  link.click();
  // Browsers read it after this turn.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
