// A sheet as a file of its own: what style sheets say is written at each element, as every program reads it.

/** What elements take from those around them, and what it is where nobody says anything. */
const INHERITED = {
  fill: "rgb(0, 0, 0)",
  stroke: "none",
  "stroke-width": "1px",
  "stroke-dasharray": "none",
  "stroke-linecap": "butt",
  "font-family": "",
  "font-size": "",
  "font-weight": "400",
  "text-anchor": "start",
};

/** The text of the file. @param {SVGElement} element  in the document */
export function inlined(element) {
  write(element, INHERITED);
  element.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return `${new XMLSerializer().serializeToString(element)}\n`;
}

function write(element, around) {
  const look = getComputedStyle(element);
  if (look.display === "none" && element.localName !== "title") {
    element.remove();
    return;
  }
  const own = { ...around };
  const attributes = {};
  for (const name of Object.keys(INHERITED)) {
    own[name] = look.getPropertyValue(name);
    if (own[name] !== around[name]) attributes[name] = own[name].replaceAll('"', "'");
  }
  if (look.opacity !== "1") attributes.opacity = look.opacity;
  for (const child of [...element.children]) write(child, own);
  // Only now: the children's looks are still those of the style sheet.
  element.removeAttribute("class");
  element.removeAttribute("style");
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}
