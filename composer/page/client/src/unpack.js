// Data as composer/html.py packed it: DEFLATE (RFC 1951), written in base64.

/** The text of packed data. Fails where it is cut off or damaged. @param {string} packed */
export async function unpacked(packed) {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return await new Response(stream).text();
}
