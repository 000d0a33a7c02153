// The live recommender: ratings on one side, the ten best films on the other.

const NUM_TITLES = 10;
const NUM_OPTIONS = 8;
const LEAST = [20, 50, 100, 200];

class Recommender {
  constructor(root, data) {
    this.root = root;
    this.network = new Network(data);
    // "Third Man, The (1949)" is what the data say, "The Third Man (1949)" what people say.
    const article = /^(.*), (The|A|An|Das|Der|Die|Il|La|Le|Les|L'|El)( \(.*\))?$/;
    this.titles = data.titles.map((title) => title.replace(article, "$2 $1$3"));
    this.names = this.titles.map(simple);
    this.counts = data.counts;
    this.examples = data.examples;
    this.ratings = new Map(); // item: stars, 0 until the reader has chosen; the newest comes first
    this.hasChosenOrder = false;
    this.$ = (selector) => root.querySelector(selector);
    this.typical = this.network.predict([]);
    this.build();
    this.update();
  }

  build() {
    const box = this.$("[role=combobox]");
    box.placeholder = say("Search {number} films", { number: this.titles.length });
    box.setAttribute("aria-label", box.placeholder);
    const option = (item) => {
      const stars = this.ratings.get(item);
      return { item, text: this.titles[item] + (stars ? say(" · you: {stars} ★", { stars }) : "") };
    };
    combobox(box, this.$("#found"),
      (query) => find(this.names, this.counts, query, NUM_OPTIONS).map(option),
      (item) => this.add(item));
    for (const { name, ratings } of this.examples) {
      const chip = create("button", { type: "button" }, say(name));
      chip.addEventListener("click", () => this.set(ratings));
      this.$(".chips").append(chip);
    }
    const clear = create("button", { type: "button", class: "clear" }, say("Clear"));
    clear.addEventListener("click", () => { this.set([]); box.focus(); });
    this.$(".chips").append(clear);
    for (const least of LEAST.filter((least) => this.count(least) >= NUM_TITLES)) {
      this.$(".least").append(create("option", { value: least },
        say("{number} ratings", { number: least })));
    }
    this.$(".order").addEventListener("change", () => { this.hasChosenOrder = true; });
    for (const name of [".order", ".least"]) {
      this.$(name).addEventListener("change", () => this.update());
    }
    const size = Math.round((2 * this.titles.length * this.network.numHidden) / 1000);
    this.$(".foot").textContent = say("An AutoRec with {units} hidden units reads your ratings and "
      + "completes your row: {size} kB of weights, no server. Nothing that you do here leaves this "
      + "page.", { units: this.network.numHidden, size });
  }

  count(least) {
    return this.counts.filter((count) => count >= least).length;
  }

  // Replace all ratings by an example's, or by none.
  set(ratings) {
    this.ratings = new Map(ratings);
    this.update();
  }

  // Put a film among the reader's, or find it there, and lead to its stars.
  add(item) {
    this.ratings = new Map([[item, this.ratings.get(item) ?? 0], ...this.ratings]);
    this.update();
    const stars = this.$(".rated li");
    (stars.querySelector("input:checked") ?? stars.querySelector("input")).focus();
  }

  rate(item, stars) {
    this.ratings.set(item, stars);
    this.$(`fieldset[data-item="${item}"]`).dataset.stars = stars; // keeps the focus where it is
    this.answer();
  }

  remove(item) {
    this.ratings.delete(item);
    this.update();
    this.$("[role=combobox]").focus();
  }

  update() {
    const own = [...this.ratings].map(([item, stars]) => this.ownFilm(item, stars));
    this.$(".rated").replaceChildren(...own);
    this.$(".hint").hidden = own.length > 0;
    this.$(".clear").hidden = own.length === 0;
    this.answer();
  }

  ownFilm(item, stars) {
    const group = create("fieldset", { "data-item": item, "data-stars": stars },
      create("legend", { title: this.titles[item] }, this.titles[item]));
    const inputs = [];
    for (let value = 1; value <= 5; value++) {
      const input = create("input", { type: "radio", name: `film-${item}`, value,
        "aria-label": say(value === 1 ? "1 star" : "{value} stars", { value }) });
      input.checked = value === stars;
      input.addEventListener("change", () => this.rate(item, value));
      inputs.push(input);
      group.append(create("label", { class: "star" }, input,
        create("span", { "aria-hidden": "true" }, "★")));
    }
    const remove = create("button",
      { type: "button", class: "remove",
        "aria-label": say("Remove {title}", { title: this.titles[item] }) }, "✕");
    remove.addEventListener("click", () => this.remove(item));
    group.addEventListener("keydown", (event) => {
      if (!/^[1-5]$/.test(event.key) || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      const input = inputs[Number(event.key) - 1];
      input.checked = true;
      input.focus();
      this.rate(item, Number(event.key));
    });
    group.append(remove);
    return create("li", {}, group);
  }

  // The best films for the ratings that have stars, and why.
  best() {
    const ratings = [...this.ratings].filter(([, stars]) => stars);
    const stars = this.network.predict(ratings);
    const lift = stars.map((x, item) => x - this.typical[item]);
    const score = this.$(".order").value === "lift" ? lift : stars;
    const least = Number(this.$(".least").value);
    const top = [...this.titles.keys()]
      .filter((item) => !this.ratings.has(item) && this.counts[item] >= least)
      .sort((a, b) => score[b] - score[a]) // stable, as in the library
      .slice(0, NUM_TITLES);
    const reasons = this.network.reasons(ratings, top);
    return top.map((item, i) =>
      ({ item, stars: stars[item], lift: lift[item], reasons: reasons[i] }));
  }

  answer() {
    const number = [...this.ratings.values()].filter(Boolean).length;
    // By stars many lists look alike; what the ratings changed is what the network has understood.
    if (!this.hasChosenOrder) this.$(".order").value = number ? "lift" : "stars";
    const ratings = say(number > 1 ? "{number} ratings" : "1 rating", { number });
    const isLift = this.$(".order").value === "lift";
    this.$(".answer .title").textContent = !number ? say("Everybody’s top ten, until you rate")
      : isLift ? say("Raised most by your {ratings}", { ratings })
        : say("Your top ten, from {ratings}", { ratings });
    this.$(".because").hidden = number === 0;
    const list = this.$(".top");
    const before = new Map([...list.children].map((li) =>
      [li.dataset.item, li.getBoundingClientRect().top]));
    const top = this.best();
    list.replaceChildren(...top.map((film, i) => this.suggestion(film, i + 1)));
    if (!isStill()) this.glide(list, before);
    clearTimeout(this.saying);
    this.saying = setTimeout(() => this.say(top), 700); // not at every key
  }

  suggestion({ item, stars, lift, reasons }, place) {
    const shown = Math.min(5, Math.max(1, stars));
    const film = create("span", { class: "film" }, this.titles[item],
      create("span", { class: "why" }, this.why(reasons)));
    const moved = reasons.length ? [create("span", { class: "moved" }, signed(lift))] : [];
    const rate = create("button", { type: "button", class: "rate",
      "aria-label": say("Rate {title} yourself", { title: this.titles[item] }) }, "☆");
    rate.addEventListener("click", () => this.add(item));
    return create("li", { "data-item": item },
      create("span", { class: "place", "aria-hidden": "true" }, String(place)), film,
      create("span", { class: "guess" }, `${shown.toFixed(2)} ★`, ...moved), rate);
  }

  // The ratings that raised a film most, and the one that lowered it most.
  why(reasons) {
    const part = (word, sign, most) => {
      const moved = reasons.filter((reason) => sign * reason.moved >= 0.005).slice(0, most);
      const texts = moved.map((reason) => `${this.titles[reason.item].replace(/ \(\d+\)$/, "")} `
        + signed(reason.moved));
      return texts.length ? [`${word} ${texts.join(", ")}`] : [];
    };
    return [...part("↑", 1, 2), ...part("↓", -1, 1)].join("; ");
  }

  // Films that stay in the list move to their new place; new ones fade in.
  glide(list, before) {
    for (const li of list.children) {
      const from = before.get(li.dataset.item);
      const by = from === undefined ? 0 : from - li.getBoundingClientRect().top;
      const start = from === undefined ? { opacity: 0 } : { transform: `translateY(${by}px)` };
      if (from === undefined || by) li.animate([start, {}], { duration: 350, easing: "ease-out" });
    }
  }

  say(top) {
    const words = top.slice(0, 3).map(({ item, stars }) =>
      say("{title}, {value} stars",
        { title: this.titles[item], value: Math.min(5, stars).toFixed(1) }));
    this.$(".status").textContent = `${this.$(".answer .title").textContent}: ${words.join("; ")}`;
  }
}

const signed = (stars) => (stars > -0.005 ? "+" : "−") + Math.abs(stars).toFixed(2);

const root = mount();
root.host.recommender = new Recommender(root, fragment.data);
