// Wires between two layers: each goes down, sideways on a track of its own, and down again; as composer/draw/layout/tracks.py.

import { pop, push } from "./heap.js";

const ASIDE = 3;

/**
 * One net between two layers: where it leaves the upper one, and where it enters the lower one.
 *
 * @typedef {{net: number, top: number, bottoms: number[], left: number, right: number}} Run
 */

/** @returns {Run} */
export function runOf(net, top, bottoms) {
  return { net, top, bottoms, left: Math.min(top, ...bottoms), right: Math.max(top, ...bottoms) };
}

/** Where a wire turns on its way from top to bottom: how far right, on which track. */
export function turnsOf(tracks, net, top, bottom) {
  if (top === bottom) return [];
  const row = tracks.row.get(net);
  const late = tracks.late.get(`${net} ${bottom}`);
  if (late === undefined)
    return [
      [top, row],
      [bottom, row],
    ];
  const aside = top < bottom ? bottom - ASIDE : bottom + ASIDE;
  return [
    [top, row],
    [aside, row],
    [aside, late],
    [bottom, late],
  ];
}

/** A track for every net that is not straight. @param {Run[]} runs */
export function findTracks(runs) {
  const bent = runs.filter((run) => run.left !== run.right).sort(byOrder);
  const above = aboveOf(bent);
  const skyline = { starts: [-(2 ** 52)], heights: [0] };
  const row = new Map();
  const ends = [];
  let count = 0;
  for (const [index, broken] of downwards(above)) {
    const run = bent[index];
    for (const other of [...broken].sort((one, two) => one - two)) ends.push(`${run.net} ${bent[other].top}`);
    let least = 0;
    for (const other of above[index]) {
      if (!broken.has(other)) least = Math.max(least, row.get(bent[other].net) + 1);
    }
    row.set(run.net, put(skyline, run.left, run.right, least));
    count = Math.max(count, row.get(run.net) + 1);
  }
  return { row, late: new Map(ends.map((end, index) => [end, count + index])), count: count + ends.length };
}

/** The first track, at least this one, that is free from left to right; it is taken then. */
function put(skyline, left, right, least) {
  const { starts, heights } = skyline;
  const [first, last] = [lastUpTo(starts, left), lastUpTo(starts, right)];
  let track = least;
  for (let at = first; at <= last; at++) track = Math.max(track, heights[at]);
  const parts = starts[first] < left ? [[starts[first], heights[first]]] : [];
  parts.push([left, track + 1]);
  if (last + 1 === starts.length || starts[last + 1] > right + 1) parts.push([right + 1, heights[last]]);
  starts.splice(first, last + 1 - first, ...parts.map(([start]) => start));
  heights.splice(first, last + 1 - first, ...parts.map(([, height]) => height));
  return track;
}

/** The index of the last of sorted numbers that is not greater. */
function lastUpTo(sorted, value) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function byOrder(one, other) {
  const [right, its] = [rightward(one), rightward(other)];
  if (right !== its) return right ? -1 : 1;
  return (right ? other.top - one.top : one.top - other.top) || one.net - other.net;
}

const rightward = (run) => run.right - run.top >= run.top - run.left;

/** For each run those that must have a track above its own. @returns {Set<number>[]} */
function aboveOf(bent) {
  const tops = new Map();
  bent.forEach((run, index) => tops.set(run.top, [...(tops.get(run.top) ?? []), index]));
  return bent.map(
    (run, index) => new Set(run.bottoms.flatMap((bottom) => tops.get(bottom) ?? []).filter((one) => one !== index)),
  );
}

/** Runs from the top, each with those that should come first but, in a circle, cannot. */
function* downwards(above) {
  const waiting = above.map((some) => new Set(some));
  const below = new Map();
  above.forEach((some, index) => {
    for (const other of some) below.set(other, [...(below.get(other) ?? []), index]);
  });
  const ready = [];
  waiting.forEach((some, index) => some.size === 0 && push(ready, index));
  const done = new Array(above.length).fill(false);
  let first = 0;
  for (let left = above.length; left > 0;) {
    while (done[first]) first++;
    const index = ready.length ? pop(ready) : first;
    if (done[index]) continue;
    done[index] = true;
    left--;
    yield [index, waiting[index]];
    for (const other of below.get(index) ?? []) {
      waiting[other].delete(index);
      if (waiting[other].size === 0) push(ready, other);
    }
  }
}
