// A printed page shows all of the drawing, whatever part of it is looked at.

import { assign } from "./dom.js";

const MARGIN = 8;

export function listenToPrinting(scene) {
  addEventListener("beforeprint", () => {
    const { width, height } = scene.drawWhole();
    const [wide, high] = [width + 2 * MARGIN, height + 2 * MARGIN];
    assign(scene.picture, { viewBox: `${-MARGIN} ${-MARGIN} ${wide} ${high}`, width: wide, height: high });
    assign(scene.world, { transform: null });
  });
  addEventListener("afterprint", () => {
    assign(scene.picture, { viewBox: null, width: null, height: null });
    scene.drawSeen();
  });
}
