// Wires as SVG paths; as composer/draw/boxes.py.

const RADIUS = 5;
const ARROW = 7;

/** Straight lines with round corners, shorter at the end where an arrow's head is. */
export function wirePath(points, headed) {
  const parts = [`M${points[0][0]} ${points[0][1]}`];
  for (let at = 1; at + 1 < points.length; at++) {
    const [before, corner, after] = [points[at - 1], points[at], points[at + 1]];
    const radius = Math.min(RADIUS, lengthOf(before, corner) / 2, lengthOf(corner, after) / 2);
    const [start, stop] = [towards(corner, before, radius), towards(corner, after, radius)];
    parts.push(`L${start[0]} ${start[1]}Q${corner[0]} ${corner[1]} ${stop[0]} ${stop[1]}`);
  }
  const [x, y] = towards(points[points.length - 1], points[points.length - 2], headed ? ARROW - 2 : 0);
  return `${parts.join("")}L${x} ${y}`;
}

/** The arrow's head at the end of a wire. */
export function arrowPath(points) {
  const [x, y] = points[points.length - 1];
  const [a, b] = towards(points[points.length - 1], points[points.length - 2], ARROW);
  const [across, along] = [3 * Number(y !== b), 3 * Number(x !== a)];
  return `M${x} ${y}L${a + across} ${b + along}L${a - across} ${b - along}Z`;
}

const lengthOf = (one, other) => Math.abs(one[0] - other[0]) + Math.abs(one[1] - other[1]);

/** The point on a horizontal or vertical line that is so far from its start. */
function towards([x, y], [a, b], distance) {
  const step = Math.min(distance, lengthOf([x, y], [a, b]));
  return [x + step * Math.sign(a - x), y + step * Math.sign(b - y)];
}
