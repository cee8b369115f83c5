// Layouts as the page finds them: what the client's modules make of cases, as plain values.

/** @param {string} client  where the client's modules are */
export async function answer(given, client) {
  const { createLayouts } = await import(`${client}/layout/layout.js`);
  const { readArrangement } = await import(`${client}/layout/arrangement.js`);
  const { setCharacters, fit, visible, width } = await import(`${client}/layout/text.js`);
  const found = given.cases.map((one) => {
    setCharacters(one.characters);
    const layOut = createLayouts(one.arrangements.map(readArrangement), one.direction);
    return one.open.map((paths) => plain(layOut(one.root, new Set(paths))));
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
      one.box ? one.box.path : one.name,
      [one.x, one.y, one.width, one.height],
      one.inside ? plain(one.inside) : null,
    ]),
    wires: layout.wires.map(({ net, end, points }) => [layout.view.tensors[net][0], end[1], points]),
    ports: [...layout.ports.in, ...layout.ports.out],
    labels: layout.labels.map(({ net, shape, x, y, end }) => [layout.view.tensors[net][0], shape, x, y, end]),
  };
}
