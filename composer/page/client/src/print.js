// A printed page shows all of the drawing with what stands beside it and the legend, whatever part of it is looked at.

import { createSheet } from "./sheet/sheet.js";

/** What is left of A4, in pixels, by the shorter and the longer side. */
const [SHORT, LONG] = [700, 1020];
/** A sheet that would be smaller than this goes on, on further paper. */
const LEGIBLE = 0.45;

/** @param {any[]} panes @param {HTMLElement} legend @param {() => {theme: string}} current  the state */
export function listenToPrinting(panes, legend, current) {
  const { dataset, classList } = document.documentElement;
  let sheet = null;

  addEventListener("beforeprint", () => {
    sheet?.remove();
    // Paper is light.
    dataset.theme = "light";
    classList.add("printing");
    sheet = createSheet(panes, legend);
    const { element, width, height } = sheet;
    element.classList.toggle("upright", Math.min(SHORT / width, LONG / height) >= LEGIBLE);
    element.classList.toggle("across", Math.min(LONG / width, SHORT / height) >= LEGIBLE);
  });
  addEventListener("afterprint", () => {
    sheet?.remove();
    sheet = null;
    classList.remove("printing");
    dataset.theme = current().theme;
  });
}
