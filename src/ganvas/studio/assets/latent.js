const top_ = element.querySelector("form"), walkForm = element.querySelector(".walk"), sumForm = element.querySelector(".sum");
const {run: runField, label, first} = top_.elements;
const palette = element.querySelector(".palette"), player = element.querySelector(".player"), frame = element.querySelector(".frame");
const position = element.querySelector(".position"), play = element.querySelector(".play"), groups = element.querySelector(".groups");
const current = ganvas.runs(runField, facts.runs);
let active = walkForm.elements.seeds, shown = [], frames = [], timer = null, walked = null;

const common = () => ({run: runField.value, label: label.value === "" ? null : Number(label.value)});
const seedsOf = field => field.value.split(/[\s,;]+/).filter(Boolean).map(Number);

function activate(field) {
  active = field;
  for (const other of element.querySelectorAll(".seeds")) other.classList.toggle("active", other === field);
  mark();
}

function mark() {
  const chosen = new Set(seedsOf(active));
  palette.querySelectorAll("button").forEach((button, number) => button.setAttribute("aria-pressed", String(chosen.has(shown[number]))));
}

function offer() {
  const run = current();
  ganvas.options(label, [["", "that of the first seed"], ...run.classes.map((name, number) => [number, name])]);
  top_.querySelector(".of-class").hidden = run.classes.length === 0;
}

const choose = latest(async () => {
  const answer = await call("choose", {...common(), first: Math.max(0, Math.floor(Number(first.value) || 0))});
  if (answer === null) return;
  shown = answer.seeds;
  ganvas.tiles(palette, answer.pictures, shown.map(seed => `seed ${seed}`), number => {
    const seeds = seedsOf(active), at = seeds.indexOf(shown[number]);
    if (at < 0) seeds.push(shown[number]); else seeds.splice(at, 1);
    active.value = seeds.join(", ");
    mark();
  });
  mark();
});

function show(number) {
  position.value = number;
  frame.src = frames[number];
  frame.alt = `Picture ${number + 1} of ${frames.length} of the walk`;
}

function stop() {
  clearInterval(timer);
  timer = null;
  play.textContent = "Play";
}

const walk = latest(async () => {
  const {steps, kind, closed, seeds} = walkForm.elements;
  const asked = {...common(), seeds: seedsOf(seeds), steps: Number(steps.value), kind: kind.value || null, closed: closed.checked};
  const answer = await call("walk", asked);
  if (answer === null) return;
  stop();
  walked = asked;
  frames = answer.frames;
  position.max = frames.length - 1;
  player.hidden = false;
  player.querySelector(".save").replaceChildren();
  show(0);
});

walkForm.addEventListener("submit", event => { event.preventDefault(); walk(); });
walkForm.elements.steps.addEventListener("input", () => { walkForm.querySelector(".value").textContent = walkForm.elements.steps.value; });
position.addEventListener("input", () => { stop(); show(Number(position.value)); });
play.addEventListener("click", () => {
  if (timer !== null) { stop(); return; }
  play.textContent = "Pause";
  timer = setInterval(() => {
    if (!element.isConnected) { stop(); return; }
    show((Number(position.value) + 1) % frames.length);
  }, 1000 / facts.fps);
});
element.querySelector(".make").addEventListener("click", async () => {
  const answer = await call("animation", walked);
  if (answer !== null) player.querySelector(".save").replaceChildren(ganvas.saving(answer.gif, "walk.gif", "Save walk.gif"));
});

function group(sign, name, seeds) {
  const signs = ganvas.make("select", {"aria-label": "Sign"});
  ganvas.options(signs, [[1, "+"], [-1, "−"]]);
  signs.value = sign;
  const field = ganvas.make("input", {className: "seeds", value: seeds, autocomplete: "off"});
  const remove = ganvas.make("button", {type: "button", textContent: "Remove", "aria-label": "Remove this group"});
  const row = ganvas.make("div", {className: "controls group"}, signs,
    ganvas.make("label", {}, "Concept ", ganvas.make("input", {className: "name", value: name, maxLength: 60})),
    ganvas.make("label", {}, "Seeds ", field), remove);
  field.addEventListener("focus", () => activate(field));
  remove.addEventListener("click", () => { row.remove(); if (active === field) activate(walkForm.elements.seeds); });
  groups.append(row);
}

element.querySelector(".another").addEventListener("click", () => { group(1, "", ""); groups.lastChild.querySelector(".seeds").focus(); });
sumForm.addEventListener("submit", async event => {
  event.preventDefault();
  const asked = {...common(), groups: [...groups.children].map(row => ({
    sign: Number(row.querySelector("select").value), name: row.querySelector(".name").value, seeds: seedsOf(row.querySelector(".seeds")),
  }))};
  const answer = await call("add", asked);
  if (answer === null) return;
  const result = element.querySelector(".result");
  result.replaceChildren(...answer.rows.map(row => ganvas.make("div", {},
    ganvas.make("h3", {textContent: row.name}),
    ganvas.make("div", {className: "sum-row"}, ...row.pictures.map(uri => ganvas.make("img", {src: uri, alt: row.name})), ganvas.figure(row.mean, "their mean")))));
  result.append(ganvas.make("h3", {textContent: "= and latents near the sum, which is in the middle"}),
    ganvas.make("div", {className: "nine"}, ...answer.block.map((uri, number) => ganvas.make("img", {src: uri, alt: number === 4 ? "The sum" : "Near the sum"}))));
});

walkForm.elements.seeds.addEventListener("focus", () => activate(walkForm.elements.seeds));
for (const field of [walkForm.elements.seeds]) field.addEventListener("input", mark);
groups.addEventListener("input", mark);
runField.addEventListener("change", () => { offer(); choose(); });
label.addEventListener("change", choose);
first.addEventListener("change", choose);
top_.querySelector(".more").addEventListener("click", () => { first.value = (Number(first.value) || 0) + facts.palette; choose(); });
top_.addEventListener("submit", event => { event.preventDefault(); choose(); });
group(1, "first", "");
group(-1, "second", "");
group(1, "third", "");
offer();
activate(walkForm.elements.seeds);
choose();
