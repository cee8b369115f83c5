// What state makes of boxes: selected, found, faded, coloured.

import { assign } from "./dom.js";
import { tell } from "./drawing/content.js";
import { kindOf } from "./kinds.js";
import { shownPath } from "./open.js";
import { colourScale } from "./scale.js";
import { traceOf } from "./trace.js";

/** @typedef {import("./types.js").BoxData} BoxData */
/** @typedef {import("./store.js").Store} Store */

/** @param {any} scene @param {Store} store */
export function createMarks(scene, store) {
  const { drawing, insets, picture } = scene;
  let scale = null;
  let lit = null;
  let [traced, tracedAs, tracedIn] = [null, null, null];

  /** Goes over all boxes on the picture. */
  function mark() {
    const { state } = store;
    const network = store.network();
    scale ??= colourScale(store);
    const box = state.selected === null ? null : store.box(state.selected);
    const selected = box && shownPath(network, state.open, box.path);
    picture.classList.toggle("only-inserted", state.onlyInserted);
    if (tracedAs !== state.trace || tracedIn !== network) traced = traceOf(store);
    [tracedAs, tracedIn] = [state.trace, network];
    picture.classList.toggle("traced", traced !== null);
    for (const one of drawing.all()) {
      const path = one.box?.path ?? null;
      const isSelected = path !== null && path === selected;
      const found = path === null ? "" : foundIn(path, state);
      const classes = [one.look, isSelected && "selected", found, fadeOf(one.box, one.group.dataset.path)];
      assign(one.group, {
        class: classes.filter(Boolean).join(" "),
        "aria-selected": path === null ? null : String(isSelected),
      });
      const button = one.own.at(-1);
      if (button?.matches(".toggle")) button.setAttribute("tabindex", isSelected ? "0" : "-1");
      colour(one, path);
    }
    for (const one of insets.all()) {
      const { path } = one.box;
      const classes = [one.look, path === box?.path && "selected", fadeOf(one.box)];
      assign(one.group, { class: classes.filter(Boolean).join(" ") });
      colour(one, path);
    }
    const shown = selected ? drawing.shown(selected) : null;
    assign(picture, { "aria-activedescendant": shown ? shown.group.id : null });
    lightWires(shown, selected);
    for (const { wires } of [drawing.holderOf(null), ...insidesOf(drawing), ...insidesOf(insets)]) wires.fade(traced);
  }

  /** Whether a box is dimmed: it is not traced, not inserted, or of a kind that is switched off. */
  function fadeOf(box, path = box.path) {
    const { onlyInserted, dimmed } = store.state;
    if (traced && !traced.has(path)) return "faded";
    if (box && dimmed.has(kindOf(box))) return "faded";
    return onlyInserted && fadeOfOthers(box);
  }

  function colour(one, path) {
    const isCounted = path !== null && one.look !== "ghost";
    const found = isCounted && one.look !== "frame" ? scale.colours(path) : null;
    for (const element of one.own) {
      if (element.matches("rect.box")) element.style.fill = found?.fill ?? "";
      if (element.matches("text:not(.badge)")) element.style.fill = found?.ink ?? "";
      if (element.matches(".told")) tell(element, isCounted ? scale.words(path, Boolean(one.box.inner)) : null);
    }
  }

  function lightWires(shown, selected) {
    lit?.light(null);
    lit = null;
    if (!shown) return;
    const holder = drawing.holderOf(store.network().entry(selected).parent);
    const { view } = store.network().entry(selected);
    if (!holder) return;
    lit = holder.wires;
    lit.light(view.inputs.length + view.boxes.findIndex((box) => box.path === selected));
  }

  function foundIn(path, state) {
    if (!state.query || !state.found) return "";
    if (state.found.boxes.has(path)) return "hit";
    return state.found.around.has(path) && !state.open.has(path) ? "hit-inside" : "";
  }

  scene.onDraw(mark);
  store.subscribe((state, previous) => {
    const keys = ["colour", "network", "theme"];
    if (keys.some((key) => state[key] !== previous[key])) scale = null;
    if (state.open === previous.open && state.network === previous.network) mark();
  });
  return {
    mark,
    traced: () => traced,
    legend: () => {
      scale ??= colourScale(store);
      return scale.legend;
    },
  };
}

/** What is inside the open boxes of a drawing. */
const insidesOf = (drawing) => [...drawing.all()].map((one) => one.inside).filter(Boolean);

/** Only what attention rules put in stays; what holds it is seen faintly. @param {BoxData} box */
function fadeOfOthers(box) {
  if (!box) return "faded";
  if (box.rule !== undefined) return "";
  return box.holds?.length ? "around" : "faded";
}
