// The buttons above and on the canvas.

import { html, svg } from "./dom.js";
import { createSaveMenu } from "./sheet/menu.js";
import { THEMES } from "./theme.js";

/** @typedef {import("./store.js").Store} Store */

const ICONS = {
  expand: "M4 6l4-4 4 4M4 10l4 4 4-4",
  link: "M6.5 9.5l3-3M7 4.5l1.3-1.3a3 3 0 014.2 4.3L11 9M9 11.5l-1.3 1.3a3 3 0 01-4.2-4.3L5 7",
  auto: "M8 2.5a5.5 5.5 0 100 11zM8 2.5a5.5 5.5 0 110 11",
  light:
    "M8 5a3 3 0 100 6 3 3 0 000-6zM8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.1 1.1M11.9 11.9L13 13M3 13l1.1-1.1M11.9 4.1L13 3",
  dark: "M13 9.6A5.6 5.6 0 016.4 3 5.6 5.6 0 1013 9.6z",
  save: "M8 2v8M5 7l3 3 3-3M2.5 11v2.5h11V11",
  help: "M6 6a2 2 0 113 1.7c-.7.4-1 .8-1 1.6M8 12v.2",
  source: "M5 4L1.5 8 5 12M11 4l3.5 4-3.5 4",
  panel: "M2 3h12v10H2zM10 3v10",
  plus: "M3 8h10M8 3v10",
  minus: "M3 8h10",
  fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
};

function icon(name) {
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" },
    svg("path", { d: ICONS[name] }),
  );
}

function button(name, label, action, attributes = {}) {
  const element = html(
    "button",
    { type: "button", class: "tool", "aria-label": label, title: label, ...attributes },
    icon(name),
  );
  element.addEventListener("click", action);
  return element;
}

export function createToolbar({ store, actions, search, help, save }) {
  const { data } = store;
  const everything = button("expand", "Open everything, or close it (Shift Enter)", () => actions.toggleBelow(null));
  const source = button("source", "Spec (y)", () => store.set({ source: !store.state.source }), {
    "aria-controls": "source",
  });
  const panel = button("panel", "Details (d)", () => store.set({ panel: !store.state.panel }), {
    "aria-controls": "panel",
  });
  const theme = button("auto", "", () =>
    store.set({ theme: THEMES[(THEMES.indexOf(store.state.theme) + 1) % THEMES.length] }),
  );
  const inserted = inserter(store, actions);
  const networks = networkSwitch(store, actions);
  const element = html(
    "div",
    { id: "toolbar", role: "toolbar", "aria-label": "View" },
    search.element,
    networks,
    inserted,
    colourMenu(store),
    html(
      "span",
      { class: "icons" },
      everything,
      button("link", "Copy a link to this view", actions.copyLink),
      createSaveMenu(
        button("save", "Save this view", () => {}),
        save,
      ),
      theme,
      button("help", "Keys (?)", help.open),
      data.files?.length ? source : null,
      panel,
    ),
  );

  function update() {
    const { state } = store;
    source.setAttribute("aria-pressed", String(state.source));
    panel.setAttribute("aria-pressed", String(state.panel));
    theme.replaceChildren(icon(state.theme));
    for (const name of ["aria-label", "title"]) theme.setAttribute(name, `Theme: ${state.theme}`);
    if (networks) networks.hidden = state.two;
    inserted?.setAttribute("aria-pressed", String(state.onlyInserted));
    for (const one of networks?.querySelectorAll("input") ?? []) one.checked = one.value === state.network;
    const menu = /** @type {any} */ (element.querySelector("select"));
    if (menu) menu.value = state.colour;
  }
  store.subscribe(update);
  update();
  return element;
}

/** @param {Store} store */
function inserter(store, actions) {
  if (!store.data.rules?.length) return null;
  const element = html(
    "button",
    { type: "button", class: "tool worded", title: "Only inserted attention (i)" },
    "Only inserted",
  );
  element.addEventListener("click", () => actions.setOnlyInserted(!store.state.onlyInserted));
  return element;
}

/** One radio button for each network. @param {Store} store */
function networkSwitch(store, actions) {
  const { networks } = store.data;
  if (networks.length < 2) return null;
  const choices = networks.map(({ key, label }) => {
    const input = html("input", { type: "radio", name: "network", value: key });
    input.addEventListener("change", () => actions.setNetwork(key));
    return html("label", { title: label }, input, html("span", {}, label));
  });
  return html("fieldset", { class: "segments" }, html("legend", {}, "Network"), ...choices);
}

/** @param {Store} store */
function colourMenu(store) {
  const modes = [{ key: "kind", name: store.data.changes ? "differences" : "kind" }, ...store.data.modes];
  const options = modes.map(({ key, name }) => html("option", { value: key }, name));
  const select = html("select", { "aria-label": "Colour" }, ...options);
  select.addEventListener("change", () => store.set({ colour: select.value }));
  return html("label", { class: "menu" }, html("span", {}, "Colour"), select);
}

/** Zoom, in the canvas' corner. */
export function createZoom(viewport) {
  const scale = html("button", { type: "button", class: "tool scale", title: "Actual size (0)" }, "100%");
  scale.addEventListener("click", () => viewport.actual());
  viewport.subscribe((look) => {
    scale.textContent = `${look.scale < 0.01 ? (look.scale * 100).toFixed(1) : Math.round(look.scale * 100)}%`;
    scale.setAttribute("aria-label", `Actual size; now ${scale.textContent}`);
  });
  return html(
    "div",
    { id: "zoom", class: "over", role: "group", "aria-label": "Zoom" },
    button("minus", "Zoom out (−)", () => viewport.zoom(0.8)),
    scale,
    button("plus", "Zoom in (+)", () => viewport.zoom(1.25)),
    button("fit", "Fit (f)", viewport.fit),
  );
}
