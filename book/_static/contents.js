// The list of contents marks the section that is being read. The theme's own way leaves the last
// mark where a reader has gone back to the top, and marks another section at the end of a page.
document.addEventListener("DOMContentLoaded", () => {
  document.body.removeAttribute("data-bs-spy");
  const links = [...document.querySelectorAll(".page-toc a[href^='#'], #pst-page-toc-nav a[href^='#']")];
  const section = (link) => document.getElementById(decodeURIComponent(link.hash.slice(1)));
  const top = (link) => section(link)?.getBoundingClientRect().top ?? Infinity;
  const follow = () => {
    const page = document.documentElement;
    const isEnd = scrollY > 0 && scrollY + innerHeight >= page.scrollHeight - 2;
    // At the end of a page the last sections cannot reach the top: there the chosen one counts.
    const chosen = links.find((link) => link.hash === location.hash && top(link) > 0);
    const passed = links.filter((link) => top(link) < innerHeight * (isEnd ? 1 : 0.3)).at(-1);
    const here = (isEnd && chosen && top(chosen) < innerHeight && chosen) || passed;
    for (const link of links) {
      const holds = here && link.parentElement.contains(here);
      link.classList.toggle("active", Boolean(holds));
    }
  };
  for (const event of ["scroll", "resize", "hashchange"]) {
    addEventListener(event, () => requestAnimationFrame(follow), { passive: true });
  }
  follow();
});
