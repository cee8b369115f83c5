// The page: makes its parts and ties them together.

import { createCompared, mainHalf } from "./compare/compare.js";
import { createDock } from "./dock.js";
import { html } from "./dom.js";
import { holds } from "./condition/evaluate.js";
import { createHelp } from "./help.js";
import { listenToKeys } from "./keyboard.js";
import { createKinds } from "./kinds.js";
import { createMinimap } from "./minimap.js";
import { namedFacts } from "./condition/names.js";
import { createPane } from "./pane.js";
import { short } from "./numbers.js";
import { mountPanel } from "./panel.js";
import { keepFragment, readFragment } from "./permalink.js";
import { listenToPrinting } from "./print.js";
import { createSaver } from "./sheet/save.js";
import { createSearch } from "./search.js";
import { createSides, followSize } from "./sides.js";
import { mountSource } from "./source.js";
import { createStatus } from "./status.js";
import { createStore } from "./store.js";
import { rememberedTheme, useTheme } from "./theme.js";
import { createToolbar, createZoom } from "./toolbar.js";
import { toldTrace } from "./trace.js";
import { unpacked } from "./unpack.js";
import { READABLE } from "./viewport.js";
import { parse } from "./condition/where.js";

/** On a canvas lower than this, what Python drew leaves too little to be seen. */
const LOW = 300;

// Until then, what Python drew is seen.
unpacked(document.getElementById("data").textContent).then((text) =>
  start(document.getElementById("canvas"), JSON.parse(text)),
);

function start(canvas, data) {
  const store = createStore(data);
  const first = readFragment(location.hash, data);
  const sides = createSides(canvas);
  mountPanel(sides.panel, store);
  mountSource(sides.source, store);
  store.set({ ...known(first.patch), theme: rememberedTheme() });
  useTheme(store.state.theme);
  sides.update(store.state);

  const status = createStatus();
  const label = `Boxes of ${data.name}`;
  const pane = createPane(canvas, mainHalf(store), { id: "drawing", label, say: status.say });
  const { scene, actions, marks } = pane;
  const { viewport } = scene;
  const search = createSearch(store);
  const help = createHelp();
  const minimap = createMinimap(scene, pane.store);
  const kinds = createKinds(store);
  const legend = html("div", { id: "legend", class: "over" });
  const dock = createDock(canvas, { minimap: minimap.element, legend, zoom: createZoom(viewport) });
  viewport.setCovers(dock.covers);
  const compared = data.changes ? createCompared(store, pane, status.say) : null;
  const panes = [pane, ...(compared ? [compared.pane] : [])];
  dock.update(store.state);
  const saveAs = createSaver({ panes, legend, name: data.name, say: status.say });
  document.getElementById("head").append(createToolbar({ store, actions, search, help, save: saveAs }));
  document.body.append(help.element);

  showLegend();
  takeOver();
  tellNetwork();
  let isMoved = first.look !== null;
  const save = keepFragment({ store, current: () => (isMoved ? viewport.centre() : null), apply });
  store.subscribe((state, previous) => {
    if (state.theme !== previous.theme) useTheme(state.theme);
    if (state.trace !== previous.trace) status.say(toldTrace(store), true);
    if (["colour", "network", "theme"].some((key) => state[key] !== previous[key])) showLegend();
    // What had the focus in a pane that closes hands it to the drawing.
    if (sides.update(state)) pane.scene.picture.focus({ preventScroll: true });
    if (state.network !== previous.network) tellNetwork();
    dock.update(state);
    compared?.follow();
    save();
  });
  viewport.subscribe((_, isByHand) => {
    isMoved ||= isByHand;
    save();
  });
  followSize(canvas, { store: pane.store, scene, onChange: changeSize });
  listenToPrinting(panes, legend, () => store.state);
  listenToKeys({ store, panes, search, help, kinds, save: saveAs });
  if (store.state.query) search.set(store.state.query);
  if (store.state.selected !== null) store.select(store.state.selected, { reveal: first.look === null });
  // For tests, and for the curious.
  globalThis.composer = { store, scene, panes, named: () => ({ ...namedFacts(store), parse, holds }) };

  function changeSize() {
    scene.drawBeside();
    minimap.draw();
  }

  /**
   * What Python drew is there until this is; where it is the same picture and can be read, it stays
   * where it is.
   */
  function takeOver() {
    const drawn = canvas.querySelector("svg");
    const isAsDrawn = !store.state.two && !["open", "network", "onlyInserted"].some((key) => key in first.patch);
    const look = isAsDrawn ? lookOf(drawn, canvas) : null;
    pane.listen();
    scene.render();
    drawn?.remove();
    canvas.append(scene.picture, dock.element, status.element);
    document.documentElement.classList.add("ready");
    begin(look);
    if (first.look) viewport.setCentre(first.look);
  }

  /** Shows the network's beginning, as Python drew it where that can be, with as little over it as can be. */
  function begin(look) {
    const isKept = look && look.scale >= READABLE && viewport.room().height >= LOW;
    viewport.set(isKept ? look : viewport.first(), false);
    viewport.set(viewport.clear(viewport.get(), scene.areas()), false);
    compared?.settle();
  }

  /** The state that a fragment asks for, as far as the network has it; what is selected is shown beside it. */
  function known(patch) {
    const network = store.indexOf(patch.network ?? data.networks[0].key);
    const selected = patch.selected !== undefined && network.at(patch.selected) ? patch.selected : null;
    const trace = patch.trace && network.at(patch.trace.path) ? patch.trace : null;
    // What is wrong or different is what such a page is opened for.
    const isAsked = selected !== null || data.problems.length > 0 || Boolean(data.changes);
    return { ...patch, selected, trace, panel: isAsked };
  }

  function apply({ patch, look }) {
    const plain = { network: data.networks[0].key, open: new Set(data.open), colour: data.colour, onlyInserted: false };
    store.set({ ...plain, dimmed: new Set(), ...known(patch) });
    search.set(patch.query ?? "");
    if (look) viewport.setCentre(look);
    else if (store.state.selected !== null) store.select(store.state.selected, { reveal: true });
  }

  /** Which network is shown, and what it costs, where a page has two; a difference says it above its panes. */
  function tellNetwork() {
    const [first, ...others] = data.networks;
    if (!others.length || data.changes) return;
    const shown = [first, ...others].find(({ key }) => key === store.state.network) ?? first;
    const { parameters, takes, gives } = shown;
    const facts = [`${short(parameters)} parameters`, takes && gives && `${takes} → ${gives}`];
    document.querySelector("#head p").textContent = facts.filter(Boolean).join(" · ");
  }

  function showLegend() {
    const found = marks.legend();
    legend.replaceChildren(...(found instanceof Node ? [found] : []), kinds.element);
    legend.hidden = !(found instanceof Node) && kinds.element.hidden;
  }
}

/** Where the picture that Python drew has its origin on the canvas, and how large it is shown. */
function lookOf(drawn, canvas) {
  const matrix = drawn?.querySelector(".figure")?.getScreenCTM();
  if (!matrix) return null;
  const area = canvas.getBoundingClientRect();
  return { x: matrix.e - area.left, y: matrix.f - area.top, scale: matrix.a };
}
