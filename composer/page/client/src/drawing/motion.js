// A short way from where things were to where they are.

const MILLISECONDS = 220;

/** Whether the reader wants things to move. */
const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export const between = (from, to, share) => from + (to - from) * share;

/**
 * Runs steps from 0 to 1 in a fifth of a second; a new run ends the one before.
 */
export function createMotion() {
  let current = null;

  /** Jumps to the end of what is under way. */
  function finish() {
    if (!current) return;
    const { frame, step } = current;
    current = null;
    cancelAnimationFrame(frame);
    step(1);
  }

  /** @param {(share: number) => void} step */
  function run(step, isWanted = true) {
    finish();
    if (!isWanted || isCalm() || document.hidden) {
      step(1);
      return;
    }
    const own = { frame: 0, step };
    let start = null;
    const next = (now) => {
      if (current !== own) return;
      start ??= now;
      const share = Math.min(1, (now - start) / MILLISECONDS);
      if (share === 1) current = null;
      step(1 - (1 - share) ** 3);
      if (share < 1) own.frame = requestAnimationFrame(next);
    };
    current = own;
    step(0);
    own.frame = requestAnimationFrame(next);
  }

  return { run, finish };
}
