const find = selector => element.querySelector(selector);
// Each part of the page has a status line of its own: what one of them says is not wiped away by another.
const at = selector => ganvas.page(find(selector), props, server);
const overview = at(".overview"), following = at(".following"), doing = at(".doing"), timeline = at(".timeline");
const curves = at(".curves"), asking = at(".asking");
const KEPT = 60; // grids that stay in memory

let chosen = null, version = "", grids = [], pictures = new Map(), playing = null, checkpoints = [], charts = [];
const rows = new Map(), asked = find(".resume").elements.steps;

function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function duration(seconds) {
  if (seconds === null) return "";
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
  const two = number => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes % 60)} h` : `${minutes}:${two(Math.floor(seconds % 60))} min`;
}

// The table: rows stay, only what changes is written anew.
function row(name) {
  if (!rows.has(name)) {
    const button = ganvas.make("button", {type: "button", textContent: name});
    button.addEventListener("click", () => choose(name));
    const bar = ganvas.make("progress", {max: 1, value: 0, "aria-hidden": "true"}), count = ganvas.make("span");
    const cell = (className, ...inside) => ganvas.make("td", {className}, ...inside);
    const parts = {state: cell("state"), pace: cell("pace"), left: cell("left"), system: cell("system"), data: cell("data")};
    parts.pace.dataset.label = "Images/s";
    parts.left.dataset.label = "Left";
    const line = ganvas.make("tr", {}, cell("name", button), parts.state, cell("steps", count, bar), parts.pace, parts.left, parts.system, parts.data);
    rows.set(name, {line, bar, count, ...parts});
    find(".runs tbody").append(line);
  }
  return rows.get(name);
}

const look = async () => {
  const answer = await overview.call("overview", {}, {quiet: true});
  if (answer === null) return;
  for (const run of answer.runs) {
    const parts = row(run.name);
    set(parts.state, `${run.state}${run.collapsed ? ", pictures nearly alike" : ""}${run.new ? " (new)" : ""}`);
    set(parts.count, run.steps && !run.shipped ? `${run.step.toLocaleString("en")} of ${run.steps.toLocaleString("en")}` : "");
    parts.bar.hidden = run.shipped;
    parts.bar.value = run.steps ? Math.min(1, run.step / run.steps) : 0;
    set(parts.pace, run.pace === null ? "" : run.pace.toPrecision(3));
    set(parts.left, duration(run.left));
    set(parts.system, `${run.system} ${run.preset}`);
    set(parts.data, run.data);
  }
  find(".runs").hidden = answer.runs.length === 0;
  find(".empty").hidden = answer.runs.length > 0;
  find(".newer").hidden = !answer.runs.some(run => run.new);
  if (chosen === null && answer.runs.length) await choose((answer.runs.find(run => run.trained) || answer.runs[0]).name);
  const now = answer.runs.find(run => run.name === chosen);
  if (now && !facts.public) {
    find(".stop").hidden = !now.trained || !find(".sure").hidden;
    if (!now.trained) find(".sure").hidden = true;
    find(".resume").hidden = now.trained || now.shipped;
  }
};

async function choose(name) {
  chosen = name;
  version = "";
  grids = [];
  pictures = new Map();
  stopPlaying();
  for (const [other, parts] of rows) parts.line.setAttribute("aria-current", String(other === name));
  find(".one").hidden = false;
  set(find(".which"), name);
  for (const part of [following, doing, timeline, curves, asking]) part.say("");
  for (const section of [".timeline", ".curves", ".asking", ".happened", ".sure", ".resume", ".stop"]) find(section).hidden = true;
  for (const box of [".alarms", ".following dl", ".maps", ".failure", ".note"]) find(box).replaceChildren();
  find(".true").hidden = true;
  find("[name=real]").checked = false;
  find(".drawn").removeAttribute("src");
  asked.value = asked.dataset.known = "";
  await follow();
}

const follow = latest(async () => {
  const name = chosen;
  let answer;
  do {
    answer = await following.call("follow", {run: name, version}, {quiet: true});
    if (answer === null || name !== chosen) return;
    if (answer.read < 1) following.say(`Reading its log: ${Math.floor(100 * answer.read)} %…`);
  } while (answer.read < 1);
  set(find(".failure"), answer.failure.join("\n"));
  if (answer.charts === undefined) return;
  following.say("");
  version = answer.version;
  const list = (tag, texts) => texts.map(textContent => ganvas.make(tag, {textContent}));
  find(".alarms").replaceChildren(...list("li", answer.alarms));
  find(".following dl").replaceChildren(...answer.facts.flatMap(([fact, value]) => [...list("dt", [fact]), ...list("dd", [value])]));
  find(".happened").hidden = answer.events.length === 0;
  find(".happened tbody").replaceChildren(...answer.events.map(([step, event, details]) =>
    ganvas.make("tr", {}, ...list("td", [step.toLocaleString("en"), event, details]))));
  find(".asking").hidden = answer.maps.length === 0;
  checkpoints = answer.maps;
  if (asked.value === asked.dataset.known) asked.value = asked.dataset.known = answer.steps;
  set(find(".thinned"), answer.thinned > 1 ? ` A point stands for ${answer.thinned} lines of the log.` : "");
  offer(answer.grids, answer.real);
  await show(answer.charts);
});

// Pictures through training.
const slider = find("[name=at]");

function offer(steps, real) {
  const last = Number(slider.value) >= grids.length - 1, before = grids[slider.value];
  grids = steps;
  find(".timeline").hidden = steps.length === 0;
  find(".of-real").hidden = !real;
  slider.max = Math.max(0, steps.length - 1);
  const place = last ? steps.length - 1 : steps.findIndex(step => step >= before);
  slider.value = place < 0 ? steps.length - 1 : place;
  picture();
}

const picture = latest(async () => {
  const name = chosen, step = grids[slider.value];
  if (step === undefined) return;
  set(find(".timeline .value"), `step ${step.toLocaleString("en")}`);
  slider.setAttribute("aria-valuetext", `step ${step}`);
  if (!pictures.has(step)) {
    const answer = await timeline.call("grid", {run: name, step}, {quiet: true});
    if (answer === null) { stopPlaying(); return; }
    if (name !== chosen) return;
    if (pictures.size >= KEPT) pictures.delete(pictures.keys().next().value);
    pictures.set(step, answer.picture);
  }
  const drawn = find(".drawn");
  if (drawn.getAttribute("src") !== pictures.get(step)) drawn.src = pictures.get(step);
  drawn.alt = `Samples after step ${step}`;
});

function stopPlaying() {
  clearTimeout(playing);
  playing = null;
  set(find(".play"), "Play");
}

async function forward() {
  const next = Number(slider.value) + 1;
  if (playing === null) return;
  if (next >= grids.length) { stopPlaying(); return; }
  slider.value = next;
  await picture();
  if (playing !== null) playing = setTimeout(forward, 300);
}

find(".play").addEventListener("click", () => {
  if (playing !== null) { stopPlaying(); return; }
  set(find(".play"), "Pause");
  if (Number(slider.value) >= grids.length - 1) slider.value = 0;
  picture();
  playing = setTimeout(forward, 300);
});
slider.addEventListener("input", () => { stopPlaying(); picture(); });
find("[name=real]").addEventListener("change", async event => {
  const beside = find(".true"), name = chosen;
  beside.hidden = true;
  if (!event.target.checked) return;
  const answer = await timeline.call("grid", {run: name, step: null});
  if (answer === null || name !== chosen) return;
  beside.src = answer.picture;
  beside.hidden = false;
});

// Curves; only those that are on the screen are drawn.
const places = new Map(), waiting = new Set();
const smoothing = find("[name=smoothing]");
const seen = new IntersectionObserver(entries => {
  for (const {target, isIntersecting} of entries) {
    target.shown = isIntersecting;
    if (isIntersecting && waiting.has(target)) drawAt(target);
  }
}, {rootMargin: "50%"});

function drawAt(place) {
  if (!window.Plotly) return;
  waiting.delete(place);
  draw(place, place.chart, Number(smoothing.value));
}

function redraw(wanted) {
  for (const place of places.values()) {
    if (!wanted(place.chart)) continue;
    waiting.add(place);
    if (place.shown) drawAt(place);
  }
}

const plotly = latest(async () => {
  if (window.Plotly) return;
  const answer = await curves.call("plotly", {});
  if (answer === null) return;
  const packed = Uint8Array.from(atob(answer.packed), letter => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  document.head.append(ganvas.make("script", {textContent: await new Response(stream).text()}));
});

async function show(found) {
  charts = found;
  find(".curves").hidden = charts.length === 0;
  const titles = charts.map(chart => chart.title);
  if (titles.join("\n") !== [...places.keys()].join("\n")) {
    seen.disconnect();
    places.clear();
    waiting.clear();
    find(".charts").replaceChildren(...charts.map(chart => {
      const place = ganvas.make("div", {className: "plot", role: "img", "aria-label": `Curves of ${chart.title} over steps`});
      places.set(chart.title, place);
      const note = chart.note && !chart.note.startsWith("Thinned") ? [ganvas.make("p", {className: "hint", textContent: chart.note})] : [];
      return ganvas.make("figure", {}, ganvas.make("h4", {textContent: chart.title}), ...note, place);
    }));
    for (const place of places.values()) seen.observe(place);
  }
  for (const chart of charts) places.get(chart.title).chart = chart;
  if (charts.length) await plotly();
  redraw(() => true);
}

smoothing.addEventListener("input", () => {
  set(find(".curves .value"), smoothing.value);
  redraw(chart => chart.smooth);
});

// What the discriminators of kept checkpoints say.
find(".ask").addEventListener("click", async () => {
  const name = chosen, steps = checkpoints, box = find(".maps");
  find(".ask").disabled = true;
  box.replaceChildren();
  for (const [number, step] of steps.entries()) {
    asking.say(`Checkpoint ${number + 1} of ${steps.length}…`);
    const answer = await asking.call("maps", {run: name, step}, {quiet: true});
    if (answer === null || name !== chosen) break;
    const parts = answer.pictures.flatMap((uri, seed) => {
      const map = answer.maps[seed], told = `seed ${seed} after step ${step}`;
      const images = [[uri, `Picture of ${told}`], ...(map ? [[map, `The discriminator's map of ${told}`]] : [])];
      return [...images.map(([src, alt]) => ganvas.make("img", {src, alt})), ganvas.make("p", {className: "hint", textContent: `seed ${seed}${answer.said[seed] ? `: ${answer.said[seed]}` : ""}`})];
    });
    box.append(ganvas.make("div", {}, ganvas.make("strong", {textContent: `step ${step.toLocaleString("en")}`}), ...parts));
    set(find(".note"), answer.note);
    asking.say("");
  }
  find(".ask").disabled = false;
});

// Stop and resume.
function sure(open) {
  find(".sure").hidden = !open;
  find(".stop").hidden = open;
  find(open ? ".no" : ".stop").focus();
}

find(".stop").addEventListener("click", () => sure(true));
find(".no").addEventListener("click", () => sure(false));
find(".yes").addEventListener("click", async () => {
  sure(false);
  await doing.call("stop_training", {run: chosen});
  await look();
});
find(".resume").addEventListener("submit", async event => {
  event.preventDefault();
  set(find(".failure"), "");
  const known = asked.value === "" || asked.value === asked.dataset.known;
  await doing.call("resume_training", {run: chosen, steps: known ? null : Number(asked.value)});
  await look();
});

find(".looking").hidden = !facts.looking;
find(".not-looking").hidden = facts.looking;

async function watch() {
  if (!element.isConnected) return;
  if (!document.hidden) {
    await look();
    if (chosen !== null) await follow();
  }
  setTimeout(watch, 1000 * facts.seconds);
}
watch();
