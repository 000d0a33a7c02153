// What every fragment shares: its own corner of the page, light or dark, and elements.

// Return the shadow root of the first element that waits for this fragment. Two copies of one
// fragment have the same key, and each of their scripts takes one of them.
function mount() {
  const waiting = [...document.querySelectorAll(`[data-fragment="${fragment.key}"]`)];
  const host = waiting.find((element) => !element.shadowRoot);
  const root = host.attachShadow({ mode: "open" });
  root.innerHTML = `<style>${fragment.css}</style>${fragment.html}`; // ours, no data in it
  const follow = () => host.toggleAttribute("data-dark", isDark());
  const observer = new MutationObserver(follow);
  const attributeFilter = ["data-theme", "theme", "data-jp-theme-light"];
  observer.observe(document.documentElement, { attributeFilter });
  observer.observe(document.body, { attributeFilter });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow);
  follow();
  return root;
}

// Ask the book, Colab and JupyterLab in turn, and last the reader's system.
function isDark() {
  const page = document.documentElement;
  const theme = page.dataset.theme || page.getAttribute("theme");
  if (theme) return theme === "dark";
  const isLight = document.body.dataset.jpThemeLight;
  if (isLight) return isLight === "false";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

const isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// Return an element. Strings among its children become text, never HTML.
function create(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
