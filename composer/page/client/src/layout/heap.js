// Whole numbers of which the least comes out first.

/** Adds a number. @param {number[]} heap */
export function push(heap, value) {
  let at = heap.push(value) - 1;
  while (at > 0) {
    const above = (at - 1) >> 1;
    if (heap[above] <= value) break;
    heap[at] = heap[above];
    at = above;
  }
  heap[at] = value;
}

/** Takes the least one away. @param {number[]} heap  not empty */
export function pop(heap) {
  const least = heap[0];
  const last = heap.pop();
  if (heap.length === 0) return least;
  let at = 0;
  for (let below = 1; below < heap.length; below = 2 * at + 1) {
    if (below + 1 < heap.length && heap[below + 1] < heap[below]) below += 1;
    if (heap[below] >= last) break;
    heap[at] = heap[below];
    at = below;
  }
  heap[at] = last;
  return least;
}
