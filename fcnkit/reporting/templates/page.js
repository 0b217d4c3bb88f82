"use strict";
// The entry of the section that is being read is marked in the contents.
(() => {
  const links = new Map();
  for (const link of document.querySelectorAll(".contents a")) links.set(link.hash.slice(1), link);
  const seen = new Set();
  const mark = () => {
    const names = [...links.keys()];
    const atEnd = scrollY > 0 && innerHeight + scrollY >= document.documentElement.scrollHeight - 4;
    const first = atEnd ? names.at(-1) : names.find((name) => seen.has(name));
    if (!first) return;
    for (const [name, link] of links) {
      if (link.hasAttribute("aria-current") === (name === first)) continue;
      if (name === first) {
        link.setAttribute("aria-current", "true");
        const list = link.closest("ul");
        list.scrollLeft = link.offsetLeft - list.offsetLeft - list.clientWidth / 3;
      } else link.removeAttribute("aria-current");
    }
  };
  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) seen.add(target.id);
      else seen.delete(target.id);
    }
    mark();
  }, { rootMargin: "-60px 0px -60% 0px" });
  addEventListener("scroll", mark, { passive: true });
  for (const section of document.querySelectorAll("main > section")) watch.observe(section);
})();
