// A search box with suggestions: the combobox pattern of the ARIA authoring guide.

const simple = (text) =>
  text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase().replace(/[^a-z0-9]+/g, " ")
    .trim();

// Return the places of the titles that hold every word of the query, often rated ones first.
function find(titles, counts, query, most) {
  const words = simple(query).split(" ");
  const fits = (title) => words.every((word) => (` ${title}`).includes(` ${word}`));
  const found = titles.map((_, item) => item).filter((item) => fits(titles[item]));
  const begins = (item) => titles[item].startsWith(words.join(" "));
  return found.sort((a, b) => begins(b) - begins(a) || counts[b] - counts[a]).slice(0, most);
}

// Wire an input and its list. `suggest` gives options {item, text} for a query; `choose` gets one.
function combobox(input, list, suggest, choose) {
  let options = [];
  let active = -1;
  const show = (place) => {
    active = place;
    [...list.children].forEach((option, i) => option.setAttribute("aria-selected", i === place));
    if (place < 0) input.removeAttribute("aria-activedescendant");
    else input.setAttribute("aria-activedescendant", list.children[place].id);
    list.children[place]?.scrollIntoView({ block: "nearest" });
  };
  const open = (isOpen) => {
    options = isOpen ? suggest(input.value) : [];
    list.replaceChildren(...options.map(({ text }, i) =>
      create("li", { role: "option", id: `option-${i}` }, text)));
    list.hidden = options.length === 0;
    input.setAttribute("aria-expanded", !list.hidden);
    show(-1);
  };
  const take = (place) => {
    const { item } = options[place];
    input.value = "";
    open(false);
    choose(item);
  };
  const move = (by) => {
    if (list.hidden) open(true);
    const count = options.length;
    if (count) show(active < 0 && by < 0 ? count - 1 : (active + by + count) % count);
  };
  const keys = {
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    Escape: () => { if (list.hidden) input.value = ""; open(false); },
    Enter: () => { if (options.length) take(Math.max(active, 0)); },
  };
  input.addEventListener("keydown", (event) => {
    if (!(event.key in keys) || event.isComposing) return;
    event.preventDefault();
    keys[event.key]();
  });
  input.addEventListener("input", () => open(true));
  input.addEventListener("click", () => open(true));
  input.addEventListener("blur", () => open(false));
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // keep the focus
  list.addEventListener("click", (event) => {
    const place = [...list.children].indexOf(event.target.closest("li"));
    if (place >= 0) take(place);
  });
}
