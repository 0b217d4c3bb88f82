(() => {
  const root = document.querySelector(".sees");
  if (!root) return;
  document.body.classList.add("scripted");
  const choose = (layer) => {
    for (const each of root.querySelectorAll(".sight")) {
      each.classList.toggle("chosen", each.dataset.layer === layer);
    }
  };
  for (const input of root.querySelectorAll("input[name=sight]")) {
    input.addEventListener("change", () => choose(input.value));
    if (input.checked) choose(input.value);
  }
})();
