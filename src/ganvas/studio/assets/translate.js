const form = element.querySelector("form"), tools = element.querySelector(".tools"), sheet = element.querySelector(".sheet");
const {run: runField, direction, size, seed, file} = form.elements, {ink, colour, width} = tools.elements;
const canvas = element.querySelector("canvas"), pen = element.querySelector(".pen"), undo = element.querySelector(".undo");
const result = element.querySelector(".result"), grid = element.querySelector(".tiles"), note = element.querySelector(".note");
const context = canvas.getContext("2d"), current = ganvas.runs(runField, facts.runs);
const WIDE = 512, KEPT = 20; // pixels of a sheet; how often one can undo
const DIRECTIONS = {AtoB: "A to B", BtoA: "B to A"};

let ground = "#ffffff"; // of the sheet
let base = null; // what the sheet was begun with, {picture, width, height}, as long as nothing is drawn over it
let given = null; // width and height of what it was begun with
let past = []; // what `undo` goes back to
let last = null; // where the pen was
let key = {x: 0.5, y: 0.5, down: false}; // the pen of the keyboard, in shares of the sheet

const redraw = latest(async () => {
  const own = size.value === "own" || given === null;
  const asked = {
    run: runField.value, direction: direction.value, picture: base ? base.picture : canvas.toDataURL(),
    side: own ? current().size : Math.min(given.width, given.height), seed: Math.max(0, Math.floor(Number(seed.value) || 0)),
  };
  const answer = await call("translate", {...asked, side: Math.min(asked.side, facts.most)}, {quiet: true});
  if (answer === null || asked.run !== runField.value) return;
  result.src = answer.picture;
  element.querySelector(".words").textContent = answer.words;
  element.querySelector(".save").replaceChildren(ganvas.saving(answer.picture, "translation.png", "Save"));
});

// What the sheet can be translated at.
function offerSizes(chosen) {
  const side = current().size, pairs = [["own", `${side} pixels, as in training`]];
  if (given && Math.min(given.width, given.height) !== side) pairs.push(["given", `${given.width}x${given.height} pixels, as it came`]);
  ganvas.options(size, pairs);
  size.value = pairs.some(([value]) => value === chosen) ? chosen : "own";
}

function blank() {
  const side = current().size;
  canvas.width = canvas.height = side >= WIDE ? Math.min(side, facts.most) : side * Math.round(WIDE / side);
  base = given = null;
  fill();
  offerSizes("own");
}

function fill() {
  context.fillStyle = ground;
  context.fillRect(0, 0, canvas.width, canvas.height);
}

function forget() { past = []; undo.disabled = true; }

function remember() {
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  copy.getContext("2d").drawImage(canvas, 0, 0);
  past = [...past.slice(1 - KEPT), {copy, base, given, size: size.value}];
  undo.disabled = false;
}

// Lays a picture on the sheet, which gets its shape.
function lay(found, chosen) {
  const image = new Image();
  image.onload = () => {
    remember();
    const factor = Math.max(1, Math.round(WIDE / Math.max(found.width, found.height)));
    [canvas.width, canvas.height] = [factor * found.width, factor * found.height];
    context.imageSmoothingEnabled = false;
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    base = found;
    given = {width: found.width, height: found.height};
    offerSizes(chosen);
    redraw();
  };
  image.onerror = () => say("The picture cannot be shown: choose another one.", true);
  image.src = found.picture;
}

const take = latest(async picked => {
  const picture = await ganvas.read(picked, facts.bytes, say);
  if (picture === null) return;
  const answer = await call("take", {run: runField.value, direction: direction.value, picture});
  if (answer === null) return;
  for (const tile of grid.children) tile.setAttribute("aria-pressed", "false");
  lay(answer, "given");
});

const begin = latest(async () => {
  if (!facts.data) return;
  const asked = {run: runField.value, direction: direction.value};
  const answer = await call("begin", asked, {quiet: true});
  if (answer === null || asked.run !== runField.value || asked.direction !== direction.value) return;
  note.textContent = answer.note;
  const names = answer.pictures.map((_, number) => `Training picture ${number + 1}`), side = current().size;
  ganvas.tiles(grid, answer.pictures, names, number => lay({picture: answer.pictures[number], width: side, height: side}, "own"));
  if (answer.ground === ground || base || past.length) return;
  ground = answer.ground;
  blank();
  redraw();
});

function offer() {
  const run = current();
  ganvas.options(direction, run.directions.map(way => [way, DIRECTIONS[way]]));
  form.querySelector(".of-direction").hidden = run.directions.length < 2;
  form.querySelector(".of-seed").hidden = !run.random;
  element.querySelector(".licence").textContent = run.licence ? `Pictures come under the licence of the data: ${run.licence}` : "";
}

// Another run or direction: another sheet.
function renew() {
  const run = current(), gray = run.inputs[direction.value] === 1;
  for (const part of element.querySelectorAll(".of-colour")) part.hidden = gray;
  if (gray && ink.value === "colour") ink.value = "#000000";
  ground = run.ground;
  grid.replaceChildren();
  forget();
  blank();
  redraw();
  begin();
}

const thickness = () => Math.max(1, Number(width.value) / 100 * Math.min(canvas.width, canvas.height));

// Draws from where the pen was to here, in pixels of the sheet.
function stroke(x, y) {
  const paint = {colour: colour.value, ground}[ink.value] || ink.value;
  [context.strokeStyle, context.lineWidth, context.lineCap, context.lineJoin] = [paint, thickness(), "round", "round"];
  context.beginPath();
  context.moveTo(...(last || [x, y]));
  context.lineTo(x, y);
  context.stroke();
  last = [x, y];
  base = null;
  redraw();
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width * canvas.width, (event.clientY - box.top) / box.height * canvas.height];
}

sheet.addEventListener("pointerdown", event => {
  if (event.button !== 0 || last !== null) return;
  sheet.setPointerCapture(event.pointerId);
  remember();
  stroke(...place(event));
});
sheet.addEventListener("pointermove", event => {
  if (last === null || !sheet.hasPointerCapture(event.pointerId)) return;
  const all = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  for (const one of all.length ? all : [event]) stroke(...place(one));
});
for (const end of ["pointerup", "pointercancel"]) sheet.addEventListener(end, () => { last = null; });

function showPen() {
  pen.hidden = false;
  [pen.style.left, pen.style.top] = [`${100 * key.x}%`, `${100 * key.y}%`];
  pen.style.width = pen.style.height = `${thickness() / canvas.width * canvas.clientWidth}px`;
  pen.classList.toggle("down", key.down);
}

sheet.addEventListener("focus", () => { if (sheet.matches(":focus-visible")) showPen(); });
sheet.addEventListener("blur", () => { pen.hidden = true; key.down = false; last = null; });
sheet.addEventListener("keydown", event => {
  const move = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
  if (event.key === " ") {
    key.down = !key.down;
    last = null;
    if (key.down) { remember(); stroke(key.x * canvas.width, key.y * canvas.height); }
    say(`Pen ${key.down ? "down" : "up"}, ${Math.round(100 * key.x)} % from the left, ${Math.round(100 * key.y)} % from the top`);
  } else if (move) {
    const far = event.shiftKey ? 0.1 : 0.02;
    key.x = Math.min(1, Math.max(0, key.x + far * move[0]));
    key.y = Math.min(1, Math.max(0, key.y + far * move[1]));
    if (key.down) stroke(key.x * canvas.width, key.y * canvas.height);
  } else return;
  event.preventDefault();
  showPen();
});

undo.addEventListener("click", () => {
  const {copy, base: under, given: shape, size: chosen} = past.pop();
  [canvas.width, canvas.height] = [copy.width, copy.height];
  context.drawImage(copy, 0, 0);
  [base, given] = [under, shape];
  undo.disabled = past.length === 0;
  offerSizes(chosen);
  redraw();
});
element.querySelector(".clear").addEventListener("click", () => { remember(); blank(); redraw(); });

file.addEventListener("change", () => { if (file.files.length) take(file.files[0]); file.value = ""; });
for (const name of ["dragover", "dragleave", "drop"]) sheet.addEventListener(name, event => {
  event.preventDefault();
  sheet.classList.toggle("over", name === "dragover");
  if (name === "drop" && event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
});
document.addEventListener("paste", function paste(event) {
  if (!element.isConnected) { document.removeEventListener("paste", paste); return; }
  const picture = [...event.clipboardData.files].find(pasted => pasted.type.startsWith("image/"));
  if (picture) take(picture);
});

for (const one of [form, tools]) one.addEventListener("submit", event => event.preventDefault());
runField.addEventListener("change", () => { offer(); renew(); });
direction.addEventListener("change", renew);
size.addEventListener("change", redraw);
seed.addEventListener("input", redraw);
colour.addEventListener("input", () => { ink.value = "colour"; });
width.addEventListener("input", () => { tools.querySelector(".value").textContent = width.value; });
element.querySelector(".most").textContent = facts.most;
offer();
renew();
