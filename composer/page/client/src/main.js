// The page: makes its parts and ties them together.

import { createActions } from "./actions.js";
import { html } from "./dom.js";
import { listenToGestures } from "./gestures.js";
import { createHelp } from "./help.js";
import { listenToKeys } from "./keyboard.js";
import { createMarks } from "./marks.js";
import { createMinimap } from "./minimap.js";
import { mountPanel } from "./panel.js";
import { keepFragment, readFragment } from "./permalink.js";
import { createScene } from "./scene.js";
import { createSearch } from "./search.js";
import { mountSource } from "./source.js";
import { createStore } from "./store.js";
import { rememberedTheme, useTheme } from "./theme.js";
import { createToolbar, createZoom } from "./toolbar.js";

start(document.getElementById("canvas"), JSON.parse(document.getElementById("data").textContent));

function start(canvas, data) {
  const store = createStore(data);
  const scene = createScene(canvas, store);
  const { viewport, picture } = scene;
  const { element: status, say } = createStatus();
  const actions = createActions(store, scene, say);
  const search = createSearch(store);
  const help = createHelp();
  const marks = createMarks(scene, store);
  const minimap = createMinimap(scene, store);
  const panel = html("aside", { id: "panel", "aria-label": "Details", hidden: true });
  const source = html("aside", { id: "source", "aria-label": "Spec", hidden: true });
  const legend = html("div", { id: "legend", class: "over" });

  picture.setAttribute("aria-label", `Boxes of ${data.name}`);
  document.getElementById("head").append(createToolbar({ store, actions, search, help }));
  canvas.before(source);
  canvas.after(panel);
  document.body.append(help.element);
  mountPanel(panel, store);
  mountSource(source, store);

  let isMoved = false;
  const save = keepFragment({ store, current: () => (isMoved ? viewport.centre() : null), apply });
  const first = readFragment(location.hash, data);
  store.set({ ...first.patch, theme: rememberedTheme() });
  useTheme(store.state.theme);

  // What Python drew is there until this is; it is the same picture, and stays where it is.
  const drawn = canvas.querySelector("svg");
  const look = lookOf(drawn, canvas);
  scene.render();
  drawn?.replaceWith(picture);
  canvas.append(...(drawn ? [] : [picture]), legend, minimap.element, createZoom(viewport), status);
  document.documentElement.classList.add("ready");
  const isAsDrawn = look && Object.keys(first.patch).every((key) => !["open", "network", "onlyInserted"].includes(key));
  if (first.look) viewport.setCentre(first.look);
  else viewport.set(isAsDrawn ? look : viewport.first(), false);
  isMoved = first.look !== null;
  showLegend();

  store.subscribe((state, previous) => {
    if (state.open !== previous.open || state.network !== previous.network) scene.render();
    if (state.theme !== previous.theme) useTheme(state.theme);
    panel.hidden = !state.panel;
    source.hidden = !state.source;
    if (["colour", "network", "theme"].some((key) => state[key] !== previous[key])) showLegend();
    save();
  });
  viewport.subscribe((_, isByHand) => {
    isMoved ||= isByHand;
    save();
  });
  store.onReveal(scene.reveal);
  new ResizeObserver(() => minimap.draw()).observe(canvas);
  listenToGestures(canvas, viewport);
  listenToClicks();
  listenToKeys({ store, scene, actions, search, help });
  if (store.state.query) search.set(store.state.query);
  if (store.state.selected) choose(store.state.selected);
  // For tests, and for the curious.
  globalThis.composer = { store, scene };

  function choose(path) {
    if (store.box(path)) store.select(path, { reveal: first.look === null });
    else store.set({ selected: null });
  }

  function apply({ patch, look: next }) {
    const whole = { network: data.networks[0].key, open: new Set(data.open), selected: null, colour: "kind", onlyInserted: false };
    store.set({ ...whole, ...patch });
    if (next) viewport.setCentre(next);
  }

  function showLegend() {
    const found = marks.legend();
    legend.replaceChildren(...(found instanceof Node ? [found] : []));
    legend.hidden = !legend.hasChildNodes();
  }

  function listenToClicks() {
    picture.addEventListener("click", (event) => {
      const path = event.target.closest("[data-path]")?.dataset.path ?? null;
      picture.focus({ preventScroll: true });
      if (path !== null && event.target.closest(".toggle")) actions.toggle(path);
      else store.select(path !== null && store.network().entry(path) ? path : null);
    });
    picture.addEventListener("dblclick", (event) => {
      const path = event.target.closest("[data-path]")?.dataset.path ?? null;
      if (path === null || event.target.closest(".toggle")) return;
      if (event.shiftKey) actions.toggleBelow(path);
      else actions.toggle(path);
    });
  }
}

/** Where the picture that Python drew has its origin on the canvas, and how large it is shown. */
function lookOf(drawn, canvas) {
  const figure = drawn?.querySelector(".figure");
  const matrix = figure?.getScreenCTM();
  if (!matrix) return null;
  const area = canvas.getBoundingClientRect();
  return { x: matrix.e - area.left, y: matrix.f - area.top, scale: matrix.a };
}

/** What happened in words, for screen readers; `isShown` also for those who see. */
function createStatus() {
  const element = html("div", { id: "status", class: "over", role: "status" });
  let timer = 0;
  function say(words, isShown = false) {
    element.textContent = words;
    element.classList.toggle("shown", isShown);
    clearTimeout(timer);
    timer = setTimeout(() => element.classList.remove("shown"), 4000);
  }
  return { element, say };
}
