(() => {
  const root = document.querySelector(".drawn");
  if (!root) return;
  document.body.classList.add("scripted");
  const viewers = [...root.querySelectorAll(".viewer")];
  const shown = () => viewers.find((each) => each.offsetParent && !each.closest("details"));

  // Zoom: the drawing's width, from that in its own points; the viewer scrolls.
  const sizeOf = (svg) => svg.viewBox.baseVal;
  const zoom = (viewer, factor) => {
    const svg = viewer.querySelector("svg");
    const room = viewer.clientWidth - 16;
    const natural = sizeOf(svg).width;
    const before = svg.getBoundingClientRect().width || natural;
    const fit = Math.min(1.25, room / natural);
    const scale = factor ? Math.min(6, Math.max(0.05, (before / natural) * factor)) : fit;
    const middle = [viewer.scrollLeft + viewer.clientWidth / 2, viewer.scrollTop + viewer.clientHeight / 2];
    svg.style.width = `${natural * scale}px`;
    const by = (natural * scale) / before;
    viewer.scrollLeft = middle[0] * by - viewer.clientWidth / 2;
    viewer.scrollTop = factor ? middle[1] * by - viewer.clientHeight / 2 : 0;
    viewer.dataset.scale = scale.toFixed(3);
  };
  // At first as wide as there is room, but with letters that can be read.
  const begin = (viewer) => {
    if (viewer.dataset.scale || !viewer.clientWidth) return;
    zoom(viewer, 0);
    if (Number(viewer.dataset.scale) < 0.75) zoom(viewer, 0.75 / Number(viewer.dataset.scale));
    viewer.scrollLeft = viewer.scrollTop = 0;
  };
  viewers.forEach(begin);
  for (const each of root.querySelectorAll("details")) {
    each.addEventListener("toggle", () => each.querySelectorAll(".viewer").forEach(begin));
  }
  for (const button of root.querySelectorAll("button.zoom")) {
    button.addEventListener("click", () => zoom(shown(), Number(button.dataset.by)));
  }
  for (const viewer of viewers) {
    viewer.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      zoom(viewer, event.deltaY < 0 ? 1.15 : 1 / 1.15);
    }, { passive: false });
    viewer.addEventListener("keydown", (event) => {
      if (event.key === "+" || event.key === "-") zoom(viewer, event.key === "+" ? 1.25 : 0.8);
    });
    viewer.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse" || event.button || event.target.closest("a")) return;
      viewer.setPointerCapture(event.pointerId);
      viewer.classList.add("grabbed");
    });
    viewer.addEventListener("pointermove", (event) => {
      if (viewer.classList.contains("grabbed")) viewer.scrollBy(-event.movementX, -event.movementY);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      viewer.addEventListener(end, () => viewer.classList.remove("grabbed"));
    }
  }

  const views = [...root.querySelectorAll("button.view")];
  const view = (name) => {
    for (const button of views) button.setAttribute("aria-pressed", String(button.dataset.view === name));
    for (const each of viewers) {
      if (!each.closest("details")) each.classList.toggle("later", !each.classList.contains(name));
    }
    begin(shown());
  };
  for (const button of views) button.addEventListener("click", () => view(button.dataset.view));

  // Search: each line of a box's title is a layer, with its name and its type.
  const boxes = [...root.querySelectorAll(".viewer.whole g:not(.wire)")].filter((box) => box.querySelector("rect"));
  const lines = boxes.map((box) => box.querySelector("title").textContent.toLowerCase().split("\n"));
  const input = root.querySelector("#find-layer");
  const output = root.querySelector(".found");
  if (!input) return;
  let matches = [];
  let current = -1;
  const go = (to) => {
    if (!matches.length) return;
    if (matches[current]) matches[current].classList.remove("current");
    current = (to + matches.length) % matches.length;
    matches[current].classList.add("current");
    const viewer = shown();
    const [box, frame] = [matches[current].getBoundingClientRect(), viewer.getBoundingClientRect()];
    viewer.scrollBy(
      box.x + box.width / 2 - frame.x - frame.width / 2,
      box.y + box.height / 2 - frame.y - frame.height / 2,
    );
  };
  const search = () => {
    const words = input.value.trim().toLowerCase();
    let layers = 0;
    matches = [];
    current = -1;
    boxes.forEach((box, number) => {
      const hits = words ? lines[number].filter((line) => line.includes(words)).length : 0;
      layers += hits;
      box.classList.toggle("match", hits > 0);
      box.classList.toggle("unmatched", Boolean(words) && !hits);
      box.classList.remove("current");
      if (hits) matches.push(box);
    });
    output.value = words ? `${layers} ${layers === 1 ? "layer" : "layers"}` : "";
    if (words && views.length) view("whole");
    go(0);
  };
  input.addEventListener("input", search);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") go(current + (event.shiftKey ? -1 : 1));
  });
})();
