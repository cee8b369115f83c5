// From an arrangement and the sizes of its items to positions and wires; as composer/draw/layout/route.py.

import { placeColumns } from "./columns.js";
import { findTracks, turnsOf } from "./tracks.js";
import { WIRE_GAP, endKey, findWays, pathOf, runsOf } from "./ways.js";

const BOX_GAP = 26;
const TRACK_GAP = 8;
const LEAVE = 8;
const ARRIVE = 14;

/**
 * Positions and wires, found once for containers of one form: `{corners, wires: [{net, end, points}], width, height}`.
 *
 * @param {{width: number[], height: number[], labels: number[], inputs: [number, number[]][],
 *          outputs: [number, number[]][]}} sizes
 */
export function route(arrangement, sizes) {
  const key = JSON.stringify(sizes);
  if (!arrangement.routes.has(key)) arrangement.routes.set(key, routed(arrangement, sizes));
  return arrangement.routes.get(key);
}

function routed(arrangement, sizes) {
  const { nets, layer, numItems, bends } = arrangement;
  const width = [...sizes.width, ...new Array(bends.length).fill(0)];
  const pins = { width, inputs: new Map(sizes.inputs), outputs: new Map(sizes.outputs) };
  const left = placeColumns(arrangement, pins, (one, other) =>
    one < numItems && other < numItems ? BOX_GAP : WIRE_GAP,
  );
  const ways = findWays(arrangement, pins, left);
  const rows = runsOf(ways).map(findTracks);
  const { starts, firstTracks, height } = levelsOf(arrangement, sizes, rows);
  const corners = sizes.width.map((_, item) => [left[item], starts[layer[item]]]);
  const wires = nets.flatMap((net, number) =>
    net.targets.map((end) => {
      const points = [[ways.leaves[number], corners[net.source][1] + sizes.height[net.source]]];
      for (const [level, top, bottom] of pathOf(ways, number, end)) {
        for (const [x, track] of turnsOf(rows[level], number, top, bottom)) {
          points.push([x, firstTracks[level] + track * TRACK_GAP]);
        }
      }
      points.push([ways.enters.get(endKey(...end)), corners[end[0]][1]]);
      return { net: number, end, points };
    }),
  );
  return { corners, wires, width: ways.width, height };
}

/** Where each layer starts, where the first track below it lies, and the height of everything. */
function levelsOf(arrangement, sizes, rows) {
  const [starts, firstTracks] = [[], []];
  let y = 0;
  const most = (items, lengths) => items.reduce((found, item) => Math.max(found, lengths[item]), 0);
  arrangement.layers.forEach((layer, level) => {
    const items = layer.filter((item) => item < arrangement.numItems);
    starts.push(y);
    y += most(items, sizes.height);
    if (level < rows.length) {
      firstTracks.push(y + most(items, sizes.labels) + LEAVE);
      y = firstTracks[level] + rows[level].count * TRACK_GAP + ARRIVE;
    }
  });
  return { starts, firstTracks, height: y };
}
