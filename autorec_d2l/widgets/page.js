// What every fragment shares: its own corner of the page, light or dark, language, and elements.

const isChinese = document.documentElement.lang.startsWith("zh");

// Return a text in the language of the page, with the values of its {names}.
function say(text, values = {}) {
  const said = (isChinese && fragment.chinese[text]) || text;
  return said.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// Put the texts and the labels of a template into the language of the page.
function translate(root) {
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.data;
    const words = text.trim().replace(/\s+/g, " ");
    if (words in fragment.chinese) {
      texts.currentNode.data = text.replace(text.trim(), () => say(words)); // spaces stay
    }
  }
  for (const element of root.querySelectorAll("[aria-label]")) {
    element.setAttribute("aria-label", say(element.getAttribute("aria-label")));
  }
}

// Return the shadow root of the first element that waits for this fragment. Two copies of one
// fragment have the same key, and each of their scripts takes one of them.
function mount() {
  const waiting = [...document.querySelectorAll(`[data-fragment="${fragment.key}"]`)];
  const host = waiting.find((element) => !element.shadowRoot);
  const root = host.attachShadow({ mode: "open" });
  root.innerHTML = `<style>${fragment.css}</style>${fragment.html}`; // ours, no data in it
  if (isChinese) translate(root);
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
