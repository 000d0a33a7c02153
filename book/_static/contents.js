// The theme's list of contents keeps its last mark when a reader goes back to the top of a page,
// above the first section. There nothing is marked.
document.addEventListener("DOMContentLoaded", () => {
  const list = document.querySelector("#pst-page-toc-nav");
  const first = list?.querySelector("a");
  const section = first && document.getElementById(decodeURIComponent(first.hash.slice(1)));
  if (!section) return;
  const follow = () => {
    if (section.getBoundingClientRect().top < innerHeight * 0.4) return;
    for (const marked of list.querySelectorAll(".active")) marked.classList.remove("active");
    for (const link of list.querySelectorAll("[aria-current]")) link.removeAttribute("aria-current");
  };
  addEventListener("scroll", () => requestAnimationFrame(follow), { passive: true });
});
