// Beside each curve stands its value at the place that is pointed at.
for (const chart of document.querySelectorAll(".chart")) {
  const plot = chart.querySelector(".plot"), rule = chart.querySelector(".at");
  const told = chart.querySelector("output");
  const [low, high] = plot.dataset.span.split(" ").map(Number);
  const lines = [...chart.querySelectorAll("li")].map((item) => ({
    value: item.querySelector("b"),
    last: item.querySelector("b").textContent,
    points: item.dataset.points.split(" ").map((each) => each.split(":").map(Number)),
  }));
  const places = [...new Set(lines.flatMap((line) => line.points.map(([x]) => x)))].sort((a, b) => a - b);
  let now = places.length;
  const nearest = (x) => places.reduce((best, each, n) => (Math.abs(each - x) < Math.abs(places[best] - x) ? n : best), 0);
  const show = (number) => {
    now = number;
    const x = places[number];
    rule.hidden = false;
    rule.style.left = `${(100 * (x - low)) / (high - low)}%`;
    for (const line of lines) {
      const before = line.points.filter(([place]) => place <= x).pop();
      line.value.textContent = before ? String(before[1]) : "-";
    }
    told.textContent = `at iteration ${x.toLocaleString("en")}`;
  };
  const hide = () => {
    rule.hidden = true;
    for (const line of lines) line.value.textContent = line.last;
    told.textContent = "";
    now = places.length;
  };
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    show(nearest(low + ((high - low) * (event.clientX - box.x)) / box.width));
  });
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -places.length, End: places.length }[event.key];
    if (!step) return;
    event.preventDefault();
    show(Math.min(places.length - 1, Math.max(0, now + step)));
  });
}
