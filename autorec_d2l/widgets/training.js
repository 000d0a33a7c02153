// Six films and six users on the left, the learning curve on the right, the switches below.

const DROPOUT = 0.5;
const DECAY = 0.01;
const HIGHEST = 5;
const PLOT = { left: 34, top: 8, width: 290, height: 148 };
const SWITCHES = ["mask", "dropout", "decay"];

// A small generator of numbers in [0, 1), so that a run can be repeated (mulberry32).
function seeded(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

class Training {
  constructor(root, data) {
    Object.assign(this, data);
    this.$ = (selector) => root.querySelector(selector);
    this.buildTable();
    this.buildControls();
    this.reset();
  }

  buildTable() {
    const corner = create("td", { role: "columnheader", class: "corner" });
    const head = create("tr", { role: "row" }, corner, ...this.users.map((user) =>
      create("th", { role: "columnheader", scope: "col" }, user)));
    this.cells = this.films.map((film, i) => this.users.map((user, u) => {
      const cell = create("td", { role: "gridcell", tabindex: i + u ? -1 : 0 },
        create("span", { class: "given" }), create("span", { class: "guess" }));
      cell.addEventListener("click", () => this.rate(i, u, (this.ratings[i][u] + 1) % 6));
      cell.addEventListener("keydown", (event) => this.key(event, i, u));
      return cell;
    }));
    this.$("table").append(head, ...this.films.map((film, i) =>
      create("tr", { role: "row" }, create("th", { role: "rowheader", scope: "row" }, film),
        ...this.cells[i])));
  }

  buildControls() {
    this.$(".start").addEventListener("click", () => (this.running ? this.pause() : this.start()));
    this.$(".one").addEventListener("click", () => {
      this.pause();
      this.step(1);
      this.say(say("After {steps} steps", this.net));
      this.draw();
    });
    this.$(".reset").addEventListener("click", () => this.reset());
    this.$(".hidden-units").addEventListener("change", () => this.reset());
    for (const name of SWITCHES) {
      this.$(`.${name}`).addEventListener("change", () => this.mark(name));
    }
  }

  key(event, i, u) {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key in by) {
      const next = this.cells[i + by[event.key][0]]?.[u + by[event.key][1]];
      if (next) this.focus(next);
    } else if (/^[0-5]$/.test(event.key)) this.rate(i, u, Number(event.key));
    else if (["Backspace", "Delete"].includes(event.key)) this.rate(i, u, 0);
    else if (["Enter", " "].includes(event.key)) this.rate(i, u, (this.ratings[i][u] + 1) % 6);
    else return;
    event.preventDefault();
  }

  focus(cell) {
    for (const one of this.cells.flat()) one.tabIndex = one === cell ? 0 : -1;
    cell.focus();
  }

  rate(i, u, stars) {
    this.ratings[i][u] = stars;
    this.focus(this.cells[i][u]);
    this.draw();
  }

  // Back to the first weights; the ratings stay.
  reset() {
    this.pause();
    const [m, { encoder, encoderBias, decoder, decoderBias }] =
      [Number(this.$(".hidden-units").value), this.weights];
    this.net = new AutoRec({ encoder: encoder.slice(0, m), encoderBias: encoderBias.slice(0, m),
      decoder: decoder.map((row) => row.slice(0, m)), decoderBias }, seeded(1));
    this.curve = [this.measure()];
    this.marks = [];
    this.$(".start").textContent = say("Train");
    this.say(say("Not trained yet"));
    this.draw();
  }

  // Mark on the curve where a switch is moved. Moved back at the same step, it leaves no mark.
  mark(name) {
    const at = this.net.steps;
    const others = this.marks.filter((mark) => mark.name !== name || mark.at !== at);
    const isBack = others.length < this.marks.length;
    this.marks = others;
    const text = say((this.$(`.${name}`).checked ? "" : "no ") + name);
    if (at > 0 && !isBack) this.marks.push({ name, at, text });
    this.drawCurve();
  }

  settings() {
    const on = (name) => this.$(name).checked;
    return { mask: on(".mask"), dropout: on(".dropout") ? DROPOUT : 0,
      decay: on(".decay") ? DECAY : 0, lr: this.lr };
  }

  step(count) {
    for (let i = 0; i < count; i++) {
      this.net.step(this.ratings, this.settings());
      this.curve.push(this.measure());
    }
  }

  start() {
    this.running = true;
    this.end = this.net.steps + this.numSteps;
    this.$(".start").textContent = say("Pause");
    this.say(say("Training"));
    if (isStill()) this.step(this.numSteps); // nothing moves: only the result is shown
    this.frame();
  }

  frame() {
    if (this.net.steps >= this.end) {
      this.pause();
      const { rmse, mean } = this.curve.at(-1);
      this.say(say("Stopped after {steps} steps: ", this.net),
        say("error {rmse} stars, mean prediction in the empty cells {mean} stars. ",
          { rmse: fixed(rmse, 2), mean: fixed(mean, 2) }), say("to go on, train again"));
    } else {
      this.step(1);
      this.next = requestAnimationFrame(() => this.frame());
    }
    this.draw();
  }

  pause() {
    cancelAnimationFrame(this.next);
    if (this.running) this.say(say("Paused after {steps} steps", this.net));
    this.running = false;
    this.$(".start").textContent = say(this.net?.steps ? "Train on" : "Train");
  }

  predictions() { // (num_films, num_users)
    return this.ratings.map((row) => this.net.forward(row).predictions);
  }

  measure() {
    const guesses = this.predictions().flat();
    const given = this.ratings.flat();
    const mean = (values) => values.reduce((sum, x) => sum + x, 0) / values.length;
    const errors = guesses.map((x, i) => (x - given[i]) ** 2).filter((_, i) => given[i]);
    return { rmse: Math.sqrt(mean(errors)), mean: mean(guesses.filter((_, i) => !given[i])) };
  }

  draw() {
    this.predictions().forEach((row, i) => row.forEach((guess, u) => {
      const [cell, stars] = [this.cells[i][u], this.ratings[i][u]];
      const [given, small] = cell.children;
      given.textContent = stars || "";
      small.textContent = fixed(guess, 1);
      cell.dataset.given = stars;
      cell.style.setProperty("--shade", 0.4 * Math.min(1, Math.max(0, guess / HIGHEST)));
      const state = stars ? "given {stars}, predicted {guess}" : "empty, predicted {guess}";
      cell.setAttribute("aria-label", `${this.films[i]}, ${this.users[u]}: `
        + say(state, { stars, guess: fixed(guess, 1) }));
    }));
    this.drawCurve();
  }

  drawCurve() {
    const last = Math.max(this.numSteps, this.curve.length - 1);
    const x = (step) => PLOT.left + (PLOT.width * step) / last;
    const y = (stars) =>
      PLOT.top + PLOT.height * (1 - Math.min(HIGHEST, Math.max(0, stars)) / HIGHEST);
    this.$(".grid").replaceChildren(...axes(x, y, last));
    for (const [name, value] of [["error", "rmse"], ["empties", "mean"]]) {
      const points = this.curve.map((now, step) => `${x(step).toFixed(1)},${y(now[value]).toFixed(1)}`);
      this.$(`polyline.${name}`).setAttribute("points", points.join(" "));
      const now = this.curve.at(-1)[value];
      this.$(`.legend .${value}`).textContent = Number.isFinite(now) ? fixed(now, 2) : say("none");
    }
    this.$(".marks").replaceChildren(...this.marks.flatMap(({ at, text }, i) => [
      svg("line", { class: "mark", x1: x(at), x2: x(at), y1: y(HIGHEST), y2: y(0) }),
      svg("text", { class: "mark", y: y(HIGHEST) + 10 + 12 * (i % 3),
        ...(at < last / 2 ? { x: x(at) + 4 } : { x: x(at) - 4, "text-anchor": "end" }) }, text)]));
    const moved = this.marks.map(({ at, text }) => say("; {text} from step {at}", { text, at }));
    this.$("#curve").textContent =
      say("Learning curve over {steps} steps, 0 to 5 stars", this.net) + moved.join("");
  }

  // Say how it stands; `more` is for screen readers, which cannot see the curve.
  say(words, more = "", end = "") {
    this.$(".state").replaceChildren(words, create("span", { class: "unseen" }, more), end);
  }
}

// A number as text, with a minus sign and never "-0.0".
function fixed(number, digits) {
  const text = number.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

function svg(tag, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

// Lines and labels of the learning curve: stars upwards, steps to the right.
function axes(x, y, last) {
  const lines = [0, 1, 2, 3, 4, 5].flatMap((stars) => [
    svg("line", { x1: x(0), x2: x(last), y1: y(stars), y2: y(stars) }),
    svg("text", { x: x(0) - 6, y: y(stars) + 4, "text-anchor": "end" }, stars)]);
  const numbers = [0, 0.5, 1].map((part) => svg("text",
    { x: x(part * last), y: PLOT.top + PLOT.height + 15, "text-anchor": "middle" },
    Math.round(part * last)));
  const names = [
    svg("text", { x: x(last / 2), y: 188, "text-anchor": "middle" }, say("steps")),
    svg("text", { x: -y(2.5), y: 11, "text-anchor": "middle", transform: "rotate(-90)" },
      say("stars"))];
  return [...lines, ...numbers, ...names];
}

const root = mount();
root.host.training = new Training(root, fragment.data);
