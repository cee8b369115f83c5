// Layouts as the page finds them: what the client's modules make of cases, as plain values.

/** @param {string} client  where the client's modules are */
export async function answer(given, client) {
  const { createLayouts } = await import(`${client}/layout/layout.js`);
  const { setCharacters, fit, visible, width } = await import(`${client}/text.js`);
  const found = given.cases.map(({ root, states, ...data }) => {
    const layOut = createLayouts(data).ofNetwork;
    return states.map((open) => plain(layOut(root, new Set(open))));
  });
  const texts = given.texts.map(({ text, size, limit, bold, characters }) => {
    setCharacters(characters);
    return [visible(text), width(text, size, bold), fit(text, size, limit, bold)];
  });
  return { found, texts };
}

function plain(layout) {
  return {
    size: [layout.width, layout.height],
    boxes: layout.boxes.map((one) => [
      [one.x, one.y, one.width, one.height],
      one.box ? one.box.path : one.name,
      one.inside ? plain(one.inside) : null,
    ]),
    wires: layout.wires.map(({ target, input, points }) => [target, input, points]),
    ports: [...layout.ins, ...layout.outs],
    labels: layout.labels.map(({ net, shape, x, y, end, room }) => [net, shape, x, y, end, room]),
  };
}
