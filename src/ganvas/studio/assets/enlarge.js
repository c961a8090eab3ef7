const form = element.querySelector("form"), choice = element.querySelector(".compare"), pair = element.querySelector(".pair");
const {run: runField, small, original, shrink} = form.elements, {before, after, edge, zoom} = choice.elements;
const found = element.querySelector(".found"), grid = element.querySelector(".tiles");
const current = ganvas.runs(runField, facts.runs);

let given = {small: null, original: null}; // `data:` URIs
let pictures = {};

const names = () => ({bicubic: "bicubic", nearest: "nearest neighbour", run: current().name, original: "the original"});

const enlarge = latest(async () => {
  if (!given.small && !given.original) { say("Choose a picture to enlarge: nothing is there yet.", true); return; }
  const small = given.original && shrink.checked ? null : given.small;
  const answer = await call("enlarge", {run: runField.value, small, original: given.original});
  if (answer === null) return;
  pictures = answer.pictures;
  const known = names(), pairs = Object.keys(pictures).map(name => [name, known[name]]), kept = [before.value, after.value];
  [before, after].forEach((field, number) => {
    ganvas.options(field, pairs);
    field.value = kept[number] in pictures ? kept[number] : ["bicubic", "run"][number];
  });
  found.hidden = false;
  element.querySelector(".words").textContent = answer.words;
  element.querySelector(".protocol").textContent = answer.protocol;
  const number = (value, digits) => value === null ? "too small" : value.toFixed(digits);
  const table = {
    caption: "Beside the original", head: ["Enlarged by", "PSNR, dB", "SSIM"],
    rows: answer.scores.map(({name, psnr, ssim}) => [known[name], number(psnr, 2), number(ssim, 4)]),
  };
  element.querySelector(".scores").replaceChildren(...answer.scores.length ? [ganvas.table(table)] : []);
  element.querySelector(".save").replaceChildren(ganvas.saving(pictures.run, "enlarged.png", "Save the enlarged picture"), " ",
    ganvas.saving(answer.small, "small.png", "Save the small one"));
  show();
});

function show() {
  const known = names();
  for (const [side, field] of [["left", before], ["right", after]]) {
    const image = pair.querySelector(`.${side}`);
    image.src = pictures[field.value];
    image.alt = `On the ${side}: ${known[field.value]}`;
  }
  move(edge.value);
  size();
}

function size() {
  const image = pair.querySelector(".right");
  if (zoom.value === "fit") pair.style.width = "";
  else if (image.naturalWidth) pair.style.width = `${Number(zoom.value) * image.naturalWidth}px`;
}

function move(share) {
  edge.value = share;
  edge.setAttribute("aria-valuetext", `${edge.value} % ${names()[before.value] || ""}`);
  pair.style.setProperty("--edge", `${edge.value}%`);
}

// Takes a file as the small picture or the original.
async function take(which, file) {
  const uri = await ganvas.read(file, facts.bytes, say);
  if (uri === null) return;
  for (const tile of grid.children) tile.setAttribute("aria-pressed", "false");
  put(which, uri);
}

function put(which, uri) {
  given[which] = uri;
  shrink.disabled = !given.original || !given.small;
  if (which === "original" && !given.small) shrink.checked = true;
  if (which === "small") shrink.checked = false;
  enlarge();
}

function forget() {
  given = {small: null, original: null};
  small.value = original.value = "";
  shrink.checked = false;
  shrink.disabled = true;
  found.hidden = true;
  say("");
}

const begin = latest(async () => {
  grid.replaceChildren();
  if (!facts.data) return;
  const asked = {run: runField.value}, answer = await call("originals", asked, {quiet: true});
  if (answer === null || asked.run !== runField.value) return;
  element.querySelector(".note").textContent = answer.note;
  ganvas.tiles(grid, answer.pictures, answer.pictures.map((_, number) => `Training picture ${number + 1}`), number => {
    forget();
    put("original", answer.pictures[number]);
  });
});

function offer() {
  const run = current();
  element.querySelector(".scale").textContent = run.scale;
  element.querySelector(".limits").textContent = `This run enlarges ${run.scale} times. Of a small picture with more than ${run.most} pixels a side the middle is taken. ` +
    "Files can be dropped and pasted here too.";
  element.querySelector(".of-data").hidden = !facts.data;
  element.querySelector(".licence").textContent = run.licence ? `Pictures come under the licence of the data: ${run.licence}` : "";
  begin();
}

form.addEventListener("submit", event => { event.preventDefault(); enlarge(); });
choice.addEventListener("submit", event => event.preventDefault());
for (const field of [small, original]) field.addEventListener("change", () => { if (field.files.length) take(field.name, field.files[0]); });
shrink.addEventListener("change", enlarge);
element.querySelector(".forget").addEventListener("click", forget);
for (const field of [before, after]) field.addEventListener("change", show);
edge.addEventListener("input", () => move(edge.value));
zoom.addEventListener("change", size);
pair.querySelector(".right").addEventListener("load", size);
for (const name of ["pointerdown", "pointermove"]) pair.addEventListener(name, event => {
  if (name === "pointerdown") pair.setPointerCapture(event.pointerId);
  if (!pair.hasPointerCapture(event.pointerId)) return;
  const box = pair.getBoundingClientRect();
  move(Math.round(Math.min(100, Math.max(0, 100 * (event.clientX - box.left) / box.width))));
});
for (const place of [form, element.querySelector(".window")]) for (const name of ["dragover", "dragleave", "drop"]) {
  place.addEventListener(name, event => {
    event.preventDefault();
    place.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) take(event.target === original ? "original" : "small", event.dataTransfer.files[0]);
  });
}
document.addEventListener("paste", function paste(event) {
  if (!element.isConnected) { document.removeEventListener("paste", paste); return; }
  const picture = [...event.clipboardData.files].find(pasted => pasted.type.startsWith("image/"));
  if (picture) take("small", picture);
});
runField.addEventListener("change", () => { offer(); if (given.small || given.original) enlarge(); });
offer();
