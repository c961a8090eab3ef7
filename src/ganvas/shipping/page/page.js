"use strict";
// Draws or translates in the browser with model.onnx; manifest.json says what it takes. Nothing leaves this machine.

const $ = id => document.getElementById(id);
const MOST_PIXELS = 40e6;  // of an uploaded picture
const MOST_BYTES = 40e6;
let manifest, session;
const kept = {};  // float arrays of latents.bin and of what stands beside latents

// Words.

function complain(words) {
  $("problem").textContent = words;
  $("problem").hidden = !words;
}

function say(words) {
  $("status").textContent = words;
  $("status").hidden = !words;
}

function inWords(error) {
  const said = String(error && error.message || error).split("\n")[0];
  return error instanceof RangeError || /memory/i.test(said)
    ? "There is not memory enough for this: take a smaller picture or fewer of them."
    : `This did not work: ${said}`;
}

window.addEventListener("unhandledrejection", event => complain(inWords(event.reason)));
window.addEventListener("error", event => complain(inWords(event.message)));

// Files.

async function read(name, kind) {
  let answer;
  try {
    answer = await fetch(name);
  } catch {
    throw new Error(`${name} cannot be read; this page needs a web server, such as: python -m http.server`);
  }
  if (!answer.ok) throw new Error(`${name} is not there (${answer.status})`);
  return kind === "json" ? answer.json() : answer.arrayBuffer();
}

async function begin() {
  if (location.protocol === "file:") throw new Error("open this page through a web server, such as: python -m http.server");
  if (typeof WebAssembly !== "object" || typeof ort !== "object") throw new Error("this browser has no WebAssembly");
  manifest = await read("manifest.json", "json");
  describe();
  const base = new URL("runtime/", document.baseURI).href;
  ort.env.wasm.numThreads = 1;  // more would need headers that a plain server does not send
  ort.env.wasm.wasmPaths = {mjs: base + manifest.runtime.mjs, wasm: base + manifest.runtime.wasm};
  ort.env.wasm.proxy = true;  // computes beside the page, which stays alive
  ort.env.logLevel = "error";
  for (const name of manifest.kept) kept[name] = new Float32Array(await read(`${name}.bin`));
  session = await ort.InferenceSession.create(await read("model.onnx"), {executionProviders: ["wasm"]});
  say("");
}

function describe() {
  document.title = manifest.title;
  $("title").textContent = manifest.title;
  $("about").textContent = manifest.about;
  $("licence").textContent = manifest.licence
    ? `Pictures and network are under the licence of the training pictures: ${manifest.licence}`
    : "The licence of the training pictures is not known.";
  $("made").textContent = manifest.made;
}

// Numbers.

// The normal's cumulative distribution: a power series near 0, a continued fraction in the tails.
function cumulative(x) {
  const a = Math.abs(x);
  let tail;
  if (a < 3) {
    let term = a, sum = a;
    for (let n = 3; term > 1e-17 * sum; n += 2) sum += term *= a * a / n;
    tail = 0.5 - sum * Math.exp(-a * a / 2) / Math.sqrt(2 * Math.PI);
  } else {
    let fraction = a;
    for (let k = 80; k > 0; k--) fraction = a + k / fraction;
    tail = Math.exp(-a * a / 2) / Math.sqrt(2 * Math.PI) / fraction;
  }
  return x > 0 ? 1 - tail : tail;
}

// Moves a standard normal number into [-threshold, threshold], order kept: what is below it stays in proportion.
function truncated(z, threshold) {
  const wanted = 0.5 + (cumulative(z) - 0.5) * (2 * cumulative(threshold) - 1);
  let low = -threshold, high = threshold;
  for (let i = 0; i < 55; i++) {
    const middle = (low + high) / 2;
    if (cumulative(middle) < wanted) low = middle; else high = middle;
  }
  return (low + high) / 2;
}

// Standard normal numbers of a seed that latents.bin does not hold; they are not those of ganvas.
function normals(seed, count) {
  let state = (seed ^ 0x5bd1e995) >>> 0;
  const uniform = () => {
    state = (state + 0x9e3779b9) >>> 0;
    let word = state;
    word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
    word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
    return ((word ^ (word >>> 15)) >>> 0) / 4294967296;
  };
  return Float32Array.from({length: count}, () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
}

function latent(seed, threshold) {
  const {latent: count, seeds, prior} = manifest;
  const raw = seed < seeds ? kept.latents.slice(seed * count, (seed + 1) * count) : normals(seed, count);
  if (threshold !== null) for (let i = 0; i < count; i++) raw[i] = truncated(raw[i], threshold);
  if (prior.kind === "uniform") for (let i = 0; i < count; i++) raw[i] = 2 * cumulative(raw[i]) - 1;
  for (let i = 0; i < count; i++) raw[i] = raw[i] * prior.scale + prior.centre;
  return raw;
}

// Pictures.

// What a network gives, (1, C, H, W) in [-1, 1], onto a canvas of its size.
function show(canvas, floats, channels, height, width) {
  canvas.width = width;
  canvas.height = height;
  const pixels = new ImageData(width, height), plane = height * width;
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) {
      const value = floats[(channels === 3 ? c : 0) * plane + i];
      pixels.data[4 * i + c] = Math.round(Math.min(Math.max((value + 1) * 127.5, 0), 255));
    }
    pixels.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

function download(canvas, name) {
  canvas.toBlob(blob => {
    const link = Object.assign(document.createElement("a"), {href: URL.createObjectURL(blob), download: name});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
}

// One job at a time: the network takes no second one before the first is done.
let queue = Promise.resolve();
function inTurn(job) {
  const done = queue.then(job);
  queue = done.catch(() => {});
  return done;
}

// Drawing.

// What is asked for: {truncation, label, caption, box}; null or absent is what `ganvas sample` takes by itself.
async function draw(seed, asked = {}) {
  const inputs = {}, place = seed % manifest.seeds;
  const floats = (name, values, ...shape) => { inputs[name] = new ort.Tensor("float32", values, [1, ...shape]); };
  floats("latent", latent(seed, asked.truncation ?? null), manifest.latent);
  if (manifest.classes.length) {
    const label = asked.label ?? seed % manifest.classes.length;
    inputs.label = new ort.Tensor("int64", BigInt64Array.of(BigInt(label)), [1]);
  }
  for (const [name, shape] of Object.entries(manifest.conditions)) {
    const size = shape.reduce((a, b) => a * b, 1);
    let values = kept[name].slice(place * size, (place + 1) * size);
    if (name === "text" && asked.caption != null) values = kept.captions.slice(asked.caption * size, (asked.caption + 1) * size);
    if (name === "boxes" && asked.box) values = Float32Array.from(asked.box);
    floats(name, values, ...shape);
  }
  const image = (await inTurn(() => session.run(inputs))).image;
  return image.data;
}

let round = 0;  // of drawing the grid: a newer one ends those before
let shownSeeds = [];

function asked() {
  const chosen = id => $(id).value === "" ? null : Number($(id).value);
  return {
    truncation: $("truncated").checked ? Number($("truncation").value) : null,
    label: manifest.classes.length ? chosen("class") : null,
    caption: manifest.captions.length ? chosen("caption") : null,
    box: $("boxed").checked ? box : null,
  };
}

async function drawGrid() {
  const mine = ++round, first = Number($("seed").value), wanted = asked();
  if (!Number.isInteger(first) || first < 0 || first > 4294967295) {
    complain("A seed is a whole number from 0 to 4294967295.");
    return;
  }
  complain("");
  shownSeeds = Array.from({length: Number($("count").value)}, (_, i) => first + i);
  const beyond = shownSeeds[shownSeeds.length - 1] >= manifest.seeds;
  $("note").textContent = `Seeds from ${manifest.seeds} on are drawn by this page's own random numbers: ` +
    "ganvas draws other pictures for them.";
  $("note").hidden = !beyond;
  const grid = $("grid");
  while (grid.children.length > shownSeeds.length) grid.lastChild.remove();
  while (grid.children.length < shownSeeds.length) {
    const button = document.createElement("button"), picture = document.createElement("canvas");
    picture.width = manifest.width;
    picture.height = manifest.height;
    button.type = "button";
    button.append(picture, document.createElement("span"));
    const index = grid.children.length;
    button.addEventListener("click", () => enlarge(index));
    grid.append(button);
  }
  [...grid.children].forEach((button, i) => {
    button.classList.add("waiting");
    button.lastChild.textContent = `seed ${shownSeeds[i]}`;
    button.setAttribute("aria-label", `Seed ${shownSeeds[i]}: show large`);
  });
  say("Drawing ...");
  for (const [i, seed] of shownSeeds.entries()) {
    const picture = await draw(seed, wanted);
    if (mine !== round) return;
    show(grid.children[i].firstChild, picture, manifest.channels, manifest.height, manifest.width);
    grid.children[i].classList.remove("waiting");
    if ($("large").open && i === large) enlarge(i);
  }
  say("");
}

let large = 0;
function enlarge(index) {
  large = (index + shownSeeds.length) % shownSeeds.length;
  const small = $("grid").children[large].firstChild, canvas = $("large-picture");
  canvas.width = small.width;
  canvas.height = small.height;
  canvas.getContext("2d").drawImage(small, 0, 0);
  $("large-title").textContent = `Seed ${shownSeeds[large]}`;
  canvas.setAttribute("aria-label", `The picture of seed ${shownSeeds[large]}`);
  if (!$("large").open) $("large").showModal();
}

let box = [0.25, 0.25, 0.5, 0.5];  // x, y, width, height in shares of the picture
function placeBox(x, y, width, height) {
  const least = 0.05;
  width = Math.min(Math.max(width, least), 1);
  height = Math.min(Math.max(height, least), 1);
  box = [Math.min(Math.max(x, 0), 1 - width), Math.min(Math.max(y, 0), 1 - height), width, height];
  ["left", "top", "width", "height"].forEach((side, i) => $("box").style.setProperty(side, `${100 * box[i]}%`));
}

function boxControls() {
  let held = null;
  const pad = $("pad");
  $("box").addEventListener("pointerdown", event => {
    held = {x: event.clientX, y: event.clientY, box: [...box], corner: event.target.id === "corner"};
    $("box").setPointerCapture(event.pointerId);
  });
  $("box").addEventListener("pointermove", event => {
    if (!held) return;
    const dx = (event.clientX - held.x) / pad.clientWidth, dy = (event.clientY - held.y) / pad.clientHeight;
    const [x, y, w, h] = held.box;
    if (held.corner) placeBox(x, y, Math.min(w + dx, 1 - x), Math.min(h + dy, 1 - y)); else placeBox(x + dx, y + dy, w, h);
    drawGrid();
  });
  for (const name of ["pointerup", "pointercancel"]) $("box").addEventListener(name, () => { held = null; });
  $("box").addEventListener("keydown", event => {
    const move = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (!move) return;
    event.preventDefault();
    const [x, y, w, h] = box, [dx, dy] = move.map(step => step * 0.05);
    if (event.shiftKey) placeBox(x, y, Math.min(w + dx, 1 - x), Math.min(h + dy, 1 - y)); else placeBox(x + dx, y + dy, w, h);
    drawGrid();
  });
  $("boxed").addEventListener("change", () => {
    pad.hidden = $("box-help").hidden = !$("boxed").checked;
    drawGrid();
  });
  placeBox(...box);
  $("box-control").hidden = false;
}

function drawingPage() {
  const options = (id, first, names) => {
    $(id).append(new Option(first, ""), ...names.map((name, i) => new Option(name, i)));
    $(`${id}-control`).hidden = !names.length;
  };
  options("class", "in turn", manifest.classes);
  options("caption", "of training pictures", manifest.captions);
  if (manifest.conditions.boxes) boxControls();
  for (const id of ["seed", "count", "class", "caption"]) $(id).addEventListener("change", drawGrid);
  $("truncated").addEventListener("change", () => {
    $("truncation").disabled = !$("truncated").checked;
    drawGrid();
  });
  $("truncation").addEventListener("input", () => {
    $("threshold").textContent = Number($("truncation").value).toFixed(2);
    drawGrid();
  });
  const go = by => {
    const count = Number($("count").value);
    $("seed").value = Math.min(Math.max(Number($("seed").value) + by * count, 0), 4294967295 - count);
    drawGrid();
  };
  $("back").addEventListener("click", () => go(-1));
  $("forth").addEventListener("click", () => go(1));
  $("controls").addEventListener("submit", event => event.preventDefault());
  $("close").addEventListener("click", () => $("large").close());
  $("previous").addEventListener("click", () => enlarge(large - 1));
  $("next").addEventListener("click", () => enlarge(large + 1));
  $("large").addEventListener("keydown", event => {
    if (event.key === "ArrowLeft") enlarge(large - 1);
    if (event.key === "ArrowRight") enlarge(large + 1);
  });
  $("download").addEventListener("click", () => download($("large-picture"), `seed-${shownSeeds[large]}.png`));
  $("draw").hidden = false;
  return drawGrid();
}

// Translating.

// Where each of `whole` positions comes from among `length` in their middle; the rest is mirrored at the borders.
function mirrored(length, whole) {
  const period = Math.max(1, 2 * (length - 1)), before = Math.floor((whole - length) / 2);
  return Array.from({length: whole}, (_, i) => {
    const place = (((i - before) % period) + period) % period;
    return length > 1 ? Math.min(place, period - place) : 0;
  });
}

// Takes (C, H, W) in [-1, 1] and gives {data, height, width} of the translation, without what was mirrored.
async function translate(source, height, width) {
  const {sourceChannels, channels, multiple, scale} = manifest;
  const up = length => Math.ceil(length / multiple) * multiple;
  const tall = up(height), wide = up(width), rows = mirrored(height, tall), columns = mirrored(width, wide);
  const padded = new Float32Array(sourceChannels * tall * wide);
  for (let c = 0, at = 0; c < sourceChannels; c++)
    for (const row of rows) for (const column of columns) padded[at++] = source[(c * height + row) * width + column];
  const inputs = {source: new ort.Tensor("float32", padded, [1, sourceChannels, tall, wide])};
  const {data} = (await inTurn(() => session.run(inputs))).image;
  const top = scale * ((tall - height) >> 1), left = scale * ((wide - width) >> 1);
  const cut = new Float32Array(channels * scale * height * scale * width);
  for (let c = 0, at = 0; c < channels; c++)
    for (let y = 0; y < scale * height; y++, at += scale * width) {
      const start = (c * scale * tall + top + y) * scale * wide + left;
      cut.set(data.subarray(start, start + scale * width), at);
    }
  return {data: cut, height: scale * height, width: scale * width};
}

function floatsOf(canvas) {
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height), plane = canvas.width * canvas.height;
  const floats = new Float32Array(manifest.sourceChannels * plane);
  for (let i = 0; i < plane; i++) {
    const [r, g, b] = data.subarray(4 * i, 4 * i + 3);
    if (manifest.sourceChannels === 1) floats[i] = Math.round(0.299 * r + 0.587 * g + 0.114 * b) / 127.5 - 1;
    else [r, g, b].forEach((value, c) => { floats[c * plane + i] = value / 127.5 - 1; });
  }
  return floats;
}

async function translateGiven() {
  const mine = ++round, given = $("given");
  say("Translating ...");
  const found = await translate(floatsOf(given), given.height, given.width);
  if (mine !== round) return;
  show($("result"), found.data, manifest.channels, found.height, found.width);
  $("save").disabled = false;
  $("sizes").textContent = `${given.width} x ${given.height} pixels became ${found.width} x ${found.height}.`;
  say("");
}

let picture = null;  // what was uploaded last, to be brought to another size

function blank() {
  const given = $("given"), pen = given.getContext("2d", {willReadFrequently: true});
  given.width = given.height = manifest.side;
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, given.width, given.height);
}

function place() {
  if (!picture) return;
  const given = $("given"), wanted = Number($("side").value), shorter = Math.min(picture.width, picture.height);
  const longer = Math.max(picture.width, picture.height);
  // The smaller of the two choices is the shorter side, as in training; whatever it is, the longer one is bounded.
  const share = Math.min(wanted === manifest.most ? 1 : wanted / shorter, manifest.most / longer);
  given.width = Math.max(1, Math.round(picture.width * share));
  given.height = Math.max(1, Math.round(picture.height * share));
  const pen = given.getContext("2d", {willReadFrequently: true});
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, given.width, given.height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture, 0, 0, given.width, given.height);
}

async function take(file) {
  complain("");
  if (!file) return;
  if (file.size > MOST_BYTES) return complain(`${file.name} is larger than ${MOST_BYTES / 1e6} MB: take a smaller file.`);
  let found;
  try {
    found = await createImageBitmap(file);
  } catch {
    return complain(`${file.name} is no picture that this browser can read: take a PNG, JPEG or WebP file.`);
  }
  if (found.width * found.height > MOST_PIXELS)
    return complain(`${file.name} has more than ${MOST_PIXELS / 1e6} million pixels: make it smaller first.`);
  picture = found;
  place();
  return translateGiven();
}

function penControls() {
  const given = $("given");
  let last = null;
  const at = event => {
    const edge = given.getBoundingClientRect();
    return [(event.clientX - edge.left) / edge.width * given.width, (event.clientY - edge.top) / edge.height * given.height];
  };
  const stroke = event => {
    const pen = given.getContext("2d"), here = at(event);
    Object.assign(pen, {strokeStyle: $("colour").value, lineWidth: Number($("pen").value) * Math.max(given.width, given.height) / 128, lineCap: "round"});
    pen.beginPath();
    pen.moveTo(...last);
    pen.lineTo(here[0] + 0.01, here[1]);
    pen.stroke();
    last = here;
  };
  given.addEventListener("pointerdown", event => {
    given.setPointerCapture(event.pointerId);
    last = at(event);
    stroke(event);
  });
  given.addEventListener("pointermove", event => { if (last) stroke(event); });
  given.addEventListener("pointerup", () => { last = null; translateGiven(); });
  given.addEventListener("pointercancel", () => { last = null; });
}

function translatingPage() {
  const {side, most, scale} = manifest;
  const choices = scale > 1 ? [[most, `as it is, at most ${most} px`]]
    : [[side, `shorter side ${side} px, as in training`], [most, `as it is, at most ${most} px`]];
  $("side").append(...choices.map(([value, words]) => new Option(words, value)));
  $("side").addEventListener("change", () => { place(); translateGiven(); });
  $("file").addEventListener("change", () => take($("file").files[0]));
  $("clear").addEventListener("click", () => { picture = null; $("file").value = ""; blank(); translateGiven(); });
  $("save").addEventListener("click", () => download($("result"), "translated.png"));
  const page = $("translate");
  for (const name of ["dragover", "dragleave", "drop"])
    page.addEventListener(name, event => { event.preventDefault(); page.classList.toggle("dropping", name === "dragover"); });
  page.addEventListener("drop", event => take(event.dataTransfer.files[0]));
  $("source-controls").addEventListener("submit", event => event.preventDefault());
  penControls();
  blank();
  page.hidden = false;
  return translateGiven();
}

// For programs: the same functions that the page uses, once `ready` is resolved.
const ready = begin();
window.ganvas = {
  ready,
  draw: async (seed, asked) => { await ready; return Array.from(await draw(seed, asked)); },
  translate: async (source, height, width) => { await ready; const found = await translate(source, height, width); return {...found, data: Array.from(found.data)}; },
};
ready.then(() => manifest.kind === "draw" ? drawingPage() : translatingPage())
  .catch(error => { say(""); complain(inWords(error)); });
