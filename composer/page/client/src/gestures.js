// Hand, wheel and fingers on the canvas.

/** Further than this, a press is a drag and not a click. */
const CLICK = 4;

/** Whether it is on something that lies over the drawing. */
const isOver = ({ target }) => target.closest(".over");

/** @param {HTMLElement} canvas */
export function listenToGestures(canvas, viewport) {
  const pointers = new Map();
  let travelled = 0;

  canvas.addEventListener(
    "wheel",
    (event) => {
      if (isOver(event)) return;
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 18 : event.deltaMode === 2 ? 240 : 1;
      const { x, y } = placeOf(event);
      if (event.shiftKey && !event.ctrlKey) viewport.pan(-(event.deltaX || event.deltaY) * lines, 0);
      else viewport.zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0016)), x, y);
    },
    { passive: false },
  );

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 1 || isOver(event)) return;
    if (pointers.size === 0) travelled = 0;
    pointers.set(event.pointerId, placeOf(event));
  });

  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = placeOf(event);
    travelled += Math.hypot(now.x - before.x, now.y - before.y);
    if (travelled > CLICK && !canvas.hasPointerCapture(event.pointerId)) {
      canvas.setPointerCapture(event.pointerId);
      canvas.classList.add("dragged");
    }
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, now);
    if (other) pinch(before, now, other);
    else viewport.pan(now.x - before.x, now.y - before.y);
  });

  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(end, (/** @type {PointerEvent} */ event) => {
      // A finger belongs to the box that it touched until the canvas takes it: that box's loss is no end.
      if (end === "lostpointercapture" && event.target !== canvas) return;
      pointers.delete(event.pointerId);
      if (pointers.size === 0) canvas.classList.remove("dragged");
    });
  }

  // What ends a drag is no click.
  canvas.addEventListener(
    "click",
    (event) => {
      if (travelled > CLICK && !isOver(event)) event.stopPropagation();
      travelled = 0;
    },
    { capture: true },
  );

  function pinch(before, now, other) {
    const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
    viewport.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    const apart = Math.hypot(before.x - other.x, before.y - other.y);
    if (apart > 0) viewport.zoom(Math.hypot(now.x - other.x, now.y - other.y) / apart, middle.x, middle.y);
  }

  function placeOf(event) {
    const area = canvas.getBoundingClientRect();
    return { x: event.clientX - area.left, y: event.clientY - area.top };
  }
}
