// Clicks on the drawing: one selects, two open or close.

/** A second click must come within this time to open a box instead of the panel, which might slide below the pointer. */
const SECOND_CLICK = 260;

export function listenToClicks({ store, scene, actions }) {
  const { picture } = scene;
  let timer = 0;

  function boxOf(event) {
    const { path, inset = path } = event.target.closest("[data-path], [data-inset]")?.dataset ?? {};
    return inset !== undefined && store.network().entry(inset) ? inset : null;
  }

  picture.addEventListener("click", (event) => {
    const path = boxOf(event);
    clearTimeout(timer);
    picture.focus({ preventScroll: true });
    if (path !== null && event.target.closest(".toggle")) {
      actions.toggle(path);
      return;
    }
    store.select(path, { panel: false });
    if (path !== null) timer = setTimeout(() => store.set({ panel: true }), store.state.panel ? 0 : SECOND_CLICK);
  });

  picture.addEventListener("dblclick", (event) => {
    const path = boxOf(event);
    if (path === null || event.target.closest(".toggle")) return;
    clearTimeout(timer);
    if (event.shiftKey) actions.toggleBelow(path);
    else actions.toggle(path);
  });
}
