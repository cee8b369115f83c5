// Elements by hand: names and texts are data, and never markup.

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element. @returns {any} */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

/** An HTML element. @returns {any} */
export function html(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** Sets attributes; null and false take one away, true sets it empty. */
export function assign(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  return element;
}

function filled(element, attributes, children) {
  assign(element, attributes);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Whether the page stands in another, such as a notebook. */
export const isInFrame = () => globalThis.top !== globalThis.self;
