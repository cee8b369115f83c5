/** @param {HTMLElement} element */
export function mountSource(element, store) {
  element.textContent = store.data.files?.[0]?.text ?? "";
}
