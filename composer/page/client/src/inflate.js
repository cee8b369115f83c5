// Data as Python packed it: DEFLATE (RFC 1951), written in base64. At once, and not as a stream: nothing may be seen before.

const LENGTHS = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
];
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const LONGEST = 15;

/** The text of packed data. @param {string} packed */
export function unpacked(packed) {
  return new TextDecoder().decode(inflate(Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0))));
}

/** @param {Uint8Array} bytes */
export function inflate(bytes) {
  let out = new Uint8Array(bytes.length * 8);
  let [size, at, held, count] = [0, 0, 0, 0];

  function bits(wanted) {
    while (count < wanted) {
      if (at === bytes.length) throw new Error("the data of this page is cut off");
      held |= bytes[at++] << count;
      count += 8;
    }
    const found = held & ((1 << wanted) - 1);
    held >>>= wanted;
    count -= wanted;
    return found;
  }

  function reserve(more) {
    if (size + more <= out.length) return;
    const larger = new Uint8Array(Math.max(2 * out.length, size + more));
    larger.set(out.subarray(0, size));
    out = larger;
  }

  /** The next symbol: codes of equal length are in a row, shorter ones before longer ones. */
  function symbol({ counts, symbols }) {
    let [code, first, index] = [0, 0, 0];
    for (let length = 1; length <= LONGEST; length += 1) {
      code |= bits(1);
      const here = counts[length];
      if (code - here < first) return symbols[index + code - first];
      index += here;
      first = (first + here) << 1;
      code <<= 1;
    }
    throw new Error("the data of this page is damaged");
  }

  function stored() {
    [held, count] = [0, 0];
    const length = bytes[at] | (bytes[at + 1] << 8);
    reserve(length);
    out.set(bytes.subarray(at + 4, at + 4 + length), size);
    [at, size] = [at + 4 + length, size + length];
  }

  function tables() {
    const [numLengths, numDistances, numCodes] = [bits(5) + 257, bits(5) + 1, bits(4) + 4];
    const lengths = new Array(19).fill(0);
    for (let one = 0; one < numCodes; one += 1) lengths[ORDER[one]] = bits(3);
    const codes = tableOf(lengths);
    const found = [];
    while (found.length < numLengths + numDistances) {
      const one = symbol(codes);
      if (one < 16) found.push(one);
      else {
        const [value, times] = [one === 16 ? found.at(-1) : 0, [3, 3, 11][one - 16] + bits([2, 3, 7][one - 16])];
        for (let time = 0; time < times; time += 1) found.push(value);
      }
    }
    return [tableOf(found.slice(0, numLengths)), tableOf(found.slice(numLengths))];
  }

  /** @param {any[]} tables  of literals and lengths, and of distances */
  function block([literals, distances]) {
    for (;;) {
      const one = symbol(literals);
      if (one === 256) return;
      reserve(258);
      if (one < 256) out[size++] = one;
      else {
        const extra = one < 265 || one === 285 ? 0 : (one - 261) >> 2;
        const length = LENGTHS[one - 257] + bits(extra);
        const far = symbol(distances);
        const more = far < 4 ? 0 : (far - 2) >> 1;
        const back = (far < 4 ? far + 1 : ((2 + (far & 1)) << more) + 1) + bits(more);
        for (const end = size + length; size < end; size += 1) out[size] = out[size - back];
      }
    }
  }

  for (let isLast = 0; !isLast; ) {
    isLast = bits(1);
    const kind = bits(2);
    if (kind === 0) stored();
    else block(kind === 1 ? fixed() : tables());
  }
  return out.subarray(0, size);
}

/** Codes by how many bits each symbol has. */
function tableOf(lengths) {
  const counts = new Array(LONGEST + 1).fill(0);
  for (const length of lengths) counts[length] += 1;
  counts[0] = 0;
  const starts = [0];
  for (const one of counts) starts.push(starts.at(-1) + one);
  const symbols = [];
  lengths.forEach((length, one) => {
    if (length) symbols[starts[length]++] = one;
  });
  return { counts, symbols };
}

const fixed = () => [
  tableOf(Array.from({ length: 288 }, (_, one) => (one < 144 ? 8 : one < 256 ? 9 : one < 280 ? 7 : 8))),
  tableOf(new Array(30).fill(5)),
];
