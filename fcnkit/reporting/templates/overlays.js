// What lies over each image: the classes that are chosen, of the prediction or the truth, what is
// wrong, or how unsure the net is. Where the pointer is, the class and its confidence are said.
for (const overlays of document.querySelectorAll(".overlays")) {
  const colours = JSON.parse(overlays.dataset.colours);
  const nowhere = colours.length - 1;
  const numbers = new Map(colours.map(([r, g, b], number) => [(r << 16) | (g << 8) | b, number]));
  const boxes = [...overlays.querySelectorAll(".legend input")];
  const names = boxes.map((box) => box.parentElement.textContent.trim());
  const view = overlays.querySelector(".view");
  const opacity = overlays.querySelector(".opacity");

  const pixels = async (image) => {
    if (!image) return null;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, canvas.width, canvas.height);
  };
  const classes = (found) => {
    if (!found) return null;
    const values = new Uint8Array(found.width * found.height);
    for (let k = 0; k < values.length; k++) {
      const [r, g, b] = [found.data[4 * k], found.data[4 * k + 1], found.data[4 * k + 2]];
      values[k] = numbers.get((r << 16) | (g << 8) | b) ?? nowhere;
    }
    return { values, width: found.width, height: found.height };
  };
  const hundredths = (found) =>
    found && { values: found.data.filter((_, k) => k % 4 === 0), width: found.width, height: found.height };

  // The value of a map at a place of 0 to 1 on each axis: the maps of one image may have two sizes.
  const at = (map, x, y) =>
    map ? map.values[Math.floor(y * map.height) * map.width + Math.floor(x * map.width)] : null;

  // A colour as four bytes in one number, the first byte the lowest.
  const word = ([r, g, b], alpha = 255) => ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0;
  const words = colours.map((each) => word(each));
  const unsure = Array.from({ length: 101 }, (_, part) => word([255, 170, 0], Math.min(255, Math.round(5.1 * (100 - part)))));
  const wrong = word([226, 0, 60]);

  // The values of a map at each pixel of another one.
  const fitted = (map, other) => {
    if (!map || (map.width === other.width && map.height === other.height)) return map?.values;
    return other.values.map((_, k) =>
      at(map, ((k % other.width) + 0.5) / other.width, (Math.floor(k / other.width) + 0.5) / other.height));
  };

  const draw = (card) => {
    const way = view?.value ?? "map";
    const on = boxes.map((box) => box.checked);
    const { map, right, sure, canvas } = card;
    const image = new ImageData(map.width, map.height);
    const pixels = new Uint32Array(image.data.buffer);
    const shown = way === "truth" || way === "wrong" ? right : map.values;
    for (let k = 0; k < pixels.length; k++) {
      if (!on[shown[k]]) continue;
      if (way === "wrong") {
        if (right[k] !== nowhere && right[k] !== map.values[k]) pixels[k] = wrong;
      } else if (way === "sure") {
        pixels[k] = sure ? unsure[sure[k]] : 0;
      } else pixels[k] = words[shown[k]];
    }
    canvas.getContext("2d", { willReadFrequently: true }).putImageData(image, 0, 0);
  };

  const say = (card, x, y) => {
    [card.x, card.y] = [Math.min(Math.max(x, 0), 0.9999), Math.min(Math.max(y, 0), 0.9999)];
    const found = at(card.map, card.x, card.y), right = at(card.truth, card.x, card.y);
    const sure = at(card.hundredths, card.x, card.y);
    const place = `${Math.floor(card.x * card.width)}, ${Math.floor(card.y * card.height)}: `;
    card.output.textContent =
      place + names[found] + (sure === null ? "" : ` ${sure} %`) +
      (right === null ? "" : right === nowhere ? "; not scored" : right === found ? "; right" : `; in truth ${names[right]}`);
    card.cross.hidden = false;
    card.cross.style.left = `${100 * card.x}%`;
    card.cross.style.top = `${100 * card.y}%`;
  };
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  const ready = async (figure) => {
    const stack = figure.querySelector(".stack"), image = stack?.querySelector(".map");
    if (!image) return null;
    const [map, truth, sure] = await Promise.all([".map", ".truth", ".sure"].map((each) => pixels(stack.querySelector(each))));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [map.width, map.height];
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", image.alt);
    const card = {
      canvas, map: classes(map), truth: classes(truth), hundredths: hundredths(sure), x: 0.5, y: 0.5,
      output: figure.querySelector("output"), cross: stack.querySelector(".cross"),
      width: Number(figure.dataset.width), height: Number(figure.dataset.height),
    };
    card.right = fitted(card.truth, card.map);
    card.sure = fitted(card.hundredths, card.map);
    draw(card);
    image.hidden = true;
    image.after(canvas);
    const point = (event) => {
      const box = stack.getBoundingClientRect();
      say(card, (event.clientX - box.x) / box.width, (event.clientY - box.y) / box.height);
    };
    stack.addEventListener("pointermove", point);
    stack.addEventListener("pointerdown", point);
    stack.addEventListener("keydown", (event) => {
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      const size = event.shiftKey ? 10 : 1;
      say(card, card.x + (size * step[0]) / map.width, card.y + (size * step[1]) / map.height);
    });
    return card;
  };

  Promise.all([...overlays.querySelectorAll(".seen")].map(ready)).then((all) => {
    const cards = all.filter(Boolean);
    const redraw = () => cards.forEach(draw);
    view?.addEventListener("change", redraw);
    for (const box of boxes) box.addEventListener("change", redraw);
    for (const button of overlays.querySelectorAll("[data-all]")) {
      button.addEventListener("click", () => {
        for (const box of boxes) box.checked = Boolean(button.dataset.all);
        redraw();
      });
    }
    overlays.dataset.ready = "";
  });
  const blend = () => overlays.style.setProperty("--opacity", opacity.value / 100);
  opacity.addEventListener("input", blend);
  blend();
}
