/** @param {HTMLElement} element */
export function mountPanel(element, store) {
  store.subscribe((state) => (element.textContent = state.selected ?? ""));
}
