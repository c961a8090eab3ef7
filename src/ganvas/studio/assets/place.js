const form = element.querySelector("form"), where = element.querySelector(".where"), board = element.querySelector(".board");
const {run: runField, text, to_text: toText, seed, n, share} = form.elements, {complete} = where.elements;
const picture = element.querySelector(".picture"), grid = element.querySelector(".tiles"), current = ganvas.runs(runField, facts.runs);
const SIDES = ["left", "top", "width", "height"], LEAST = 0.02; // of a box, in shares of the picture

let box = null, points = null; // what was placed; null leaves it to the run
let shown = {pictures: [], names: [], boxes: null, keypoints: null}; // of all seeds
let chosen = 0, active = 0; // which picture is on the board, and which part is placed next
let frame = null, numbers = [], handles = [], rows = [];

const kinds = () => ({boxes: current().needs.includes("boxes"), keypoints: current().needs.includes("keypoints")});
const percent = value => Math.round(1000 * value) / 10;
const within = (value, low, high) => Math.min(high, Math.max(low, value));

// Draws all seeds, or the chosen one alone, which is quick enough to follow what is moved.
const redraw = latest(async (whole, quiet = true) => {
  const first = Math.max(0, Math.floor(Number(seed.value) || 0)), at = whole ? 0 : chosen;
  const asked = {
    run: runField.value, seed: first + at, n: whole ? Number(n.value) : 1, text: text.value, to_text: toText.value,
    share: toText.value.trim() ? Number(share.value) / 100 : 0, box, keypoints: points, complete: complete.value || null,
  };
  const answer = await call("draw", asked, {quiet});
  if (answer === null || asked.run !== runField.value) return;
  element.querySelector(".doubts").textContent = answer.doubts;
  if (whole) {
    shown = answer;
    chosen = Math.min(chosen, shown.pictures.length - 1);
    ganvas.tiles(grid, shown.pictures, shown.names, choose);
    grid.children[chosen].setAttribute("aria-pressed", "true");
  } else {
    for (const name of ["pictures", "boxes", "keypoints"]) if (shown[name]) shown[name][at] = answer[name][0];
    grid.children[at].querySelector("img").src = answer.pictures[0];
  }
  stage();
});

function choose(number) {
  chosen = number;
  stage();
}

// Puts the chosen picture on the board, and what marks its layout.
function stage() {
  picture.src = shown.pictures[chosen];
  picture.alt = `The picture of ${shown.names[chosen]}`;
  element.querySelector(".name").textContent = shown.names[chosen];
  element.querySelector(".save").replaceChildren(ganvas.saving(shown.pictures[chosen], `${shown.names[chosen]}.png`, "Save"));
  mark();
}

const boxNow = () => box || (shown.boxes && shown.boxes[chosen]);
const placed = part => points ? points[part] : seen(part); // where somebody, or a training picture, has put a part
const seen = part => {
  const row = shown.keypoints && shown.keypoints[chosen][part];
  return row && row[2] > 0.5 ? [row[0], row[1]] : null;
};

function mark() {
  const at = boxNow();
  if (frame && at) {
    SIDES.forEach((side, number) => {
      frame.style[side] = `${100 * at[number]}%`;
      if (document.activeElement !== numbers[number]) numbers[number].value = percent(at[number]);
    });
    frame.setAttribute("aria-label", `Box: ${SIDES.map((side, number) => `${side} ${percent(at[number])} %`).join(", ")}. Arrow keys move it, with shift they resize it.`);
  }
  handles.forEach((handle, part) => {
    const own = placed(part), place = own || seen(part), name = current().parts[part], row = rows[part];
    handle.hidden = place === null;
    row.box.checked = own !== null;
    row.line.classList.toggle("active", part === active);
    for (const [axis, field] of row.fields.entries()) {
      field.disabled = own === null;
      if (document.activeElement !== field) field.value = place ? percent(place[axis]) : "";
    }
    if (place === null) return;
    [handle.style.left, handle.style.top] = place.map(value => `${100 * value}%`);
    handle.classList.toggle("guessed", own === null);
    handle.classList.toggle("flipped", place[0] > 0.6);
    handle.setAttribute("aria-label", `${name}: ${percent(place[0])} % from the left, ${percent(place[1])} % from the top${own ? "" : ", completed"}. Arrow keys move it, delete takes it away.`);
  });
}

function setBox(next) {
  const [width, height] = [within(next[2], LEAST, 1), within(next[3], LEAST, 1)];
  box = [within(next[0], 0, 1 - width), within(next[1], 0, 1 - height), width, height];
  mark();
}

function setPoint(part, place) {
  if (points === null) points = current().parts.map((_, other) => seen(other));
  points[part] = place && place.map(value => within(value, 0, 1));
  active = part;
  mark();
}

// Where a pointer is, in shares of the picture.
function spot(event) {
  const around = picture.getBoundingClientRect();
  return [(event.clientX - around.left) / around.width, (event.clientY - around.top) / around.height];
}

// Follows a pointer that goes down on `handle`; `begin` answers a function of how far it has gone, and of where it is.
function drag(handle, begin) {
  handle.addEventListener("pointerdown", event => {
    if (event.button !== 0) return;
    event.preventDefault();
    event.stopPropagation();
    handle.focus({preventScroll: true});
    handle.setPointerCapture(event.pointerId);
    const start = spot(event), move = begin();
    const moved = next => {
      const now = spot(next);
      move(now[0] - start[0], now[1] - start[1]);
      redraw(false);
    };
    handle.addEventListener("pointermove", moved);
    handle.addEventListener("lostpointercapture", () => { handle.removeEventListener("pointermove", moved); redraw(true); }, {once: true});
  });
}

// Calls `move(right, down, event)` for arrow keys, in steps; the other seeds follow when the key is let go.
function keys(handle, move) {
  handle.addEventListener("keydown", event => {
    const way = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (!way) return;
    event.preventDefault();
    move(...way, event);
    redraw(false);
  });
  handle.addEventListener("keyup", event => { if (event.key.startsWith("Arrow")) redraw(true); });
}

function makeBox() {
  frame = ganvas.make("div", {className: "box", tabIndex: 0, role: "application"});
  drag(frame, () => { const [x, y, w, h] = boxNow(); return (right, down) => setBox([x + right, y + down, w, h]); });
  for (const [name, across, down] of [["nw", 0, 0], ["ne", 1, 0], ["sw", 0, 1], ["se", 1, 1]]) {
    const corner = ganvas.make("span", {className: `corner ${name}`});
    [corner.style.left, corner.style.top] = [`${100 * across}%`, `${100 * down}%`];
    drag(corner, () => {
      const [x, y, w, h] = boxNow();
      return (right, low) => {
        const [left, far] = across ? [x, within(x + w + right, x + LEAST, 1)] : [within(x + right, 0, x + w - LEAST), x + w];
        const [top, deep] = down ? [y, within(y + h + low, y + LEAST, 1)] : [within(y + low, 0, y + h - LEAST), y + h];
        setBox([left, top, far - left, deep - top]);
      };
    });
    frame.append(corner);
  }
  keys(frame, (right, down, event) => {
    const [x, y, w, h] = boxNow(), far = 0.02;
    if (event.shiftKey) setBox([x, y, within(w + far * right, LEAST, 1 - x), within(h + far * down, LEAST, 1 - y)]);
    else setBox([x + far * right, y + far * down, w, h]);
  });
  numbers = SIDES.map((side, number) => {
    const field = ganvas.make("input", {type: "number", min: number < 2 ? 0 : 100 * LEAST, max: 100, step: 0.1});
    field.addEventListener("input", () => {
      if (field.value === "") return;
      const next = [...boxNow()];
      next[number] = Number(field.value) / 100;
      setBox(next);
      redraw(true);
    });
    return field;
  });
  where.querySelector(".numbers").replaceChildren(...SIDES.map((side, number) => ganvas.make("label", {}, side, numbers[number])));
  board.append(frame);
}

function makePoint(name, part, count) {
  const handle = ganvas.make("button", {type: "button", className: "point", hidden: true}, ganvas.make("span", {textContent: name}));
  const hue = `hsl(${Math.round(360 * part / count)} 100% 40%)`;
  handle.style.setProperty("--hue", hue);
  drag(handle, () => { const [x, y] = placed(part) || seen(part); return (right, down) => setPoint(part, [x + right, y + down]); });
  keys(handle, (right, down, event) => {
    const [x, y] = placed(part) || seen(part), far = event.shiftKey ? 0.1 : 0.02;
    setPoint(part, [x + far * right, y + far * down]);
  });
  handle.addEventListener("keydown", event => {
    if (event.key !== "Delete" && event.key !== "Backspace") return;
    event.preventDefault();
    setPoint(part, null);
    redraw(true);
  });
  handle.addEventListener("focus", () => { active = part; mark(); });
  const box = ganvas.make("input", {type: "checkbox"}), dot = ganvas.make("i", {});
  const fields = ["left", "top"].map((side, axis) => {
    const field = ganvas.make("input", {type: "number", min: 0, max: 100, step: 0.1, "aria-label": `${name}, % from the ${side}`});
    field.addEventListener("input", () => {
      if (field.value === "") return;
      const next = [...placed(part)];
      next[axis] = Number(field.value) / 100;
      setPoint(part, next);
      redraw(true);
    });
    return field;
  });
  box.addEventListener("change", () => {
    setPoint(part, box.checked ? seen(part) || [0.5, 0.5] : null);
    redraw(true);
  });
  dot.style.setProperty("--hue", hue);
  const line = ganvas.make("div", {className: "part-row"}, ganvas.make("label", {}, box, dot, name), ...fields);
  handles.push(handle);
  rows.push({box, fields, line});
  where.querySelector(".parts").append(line);
  board.append(handle);
}

// A press on the picture puts the part there whose turn it is.
board.addEventListener("pointerdown", event => {
  if (!kinds().keypoints || event.button !== 0 || !shown.pictures.length) return;
  event.preventDefault();
  setPoint(active, spot(event));
  const next = points.indexOf(null);
  if (next >= 0) active = next;
  mark();
  redraw(true);
});

function offer() {
  const run = current(), has = kinds();
  for (const part of element.querySelectorAll(".of-text")) part.hidden = !run.captions;
  element.querySelector(".of-box").hidden = !has.boxes;
  element.querySelector(".of-points").hidden = !has.keypoints;
  element.querySelector(".where").hidden = !has.boxes && !has.keypoints;
  element.querySelector(".of-completion").hidden = !run.completions.length;
  ganvas.options(complete, [...run.completions.map(name => [name, name]), ["", "nothing"]]);
  const about = run.captions ? "Without a caption each seed has one of a training picture." : "This run learnt from vectors of captions in a file, so captions cannot be written: each seed has that of a training picture.";
  element.querySelector(".about").textContent = about + (run.of.length ? ` The data is of: ${run.of.join(", ")}.` : "");
  const how = [];
  if (has.boxes) how.push("Drag the box, or its corners to resize it. By keyboard: arrow keys move it, with shift they resize it.");
  if (has.keypoints) how.push("Drag the parts; a press on the picture puts the marked one there. By keyboard: arrow keys move a part, with shift further, delete takes it away.");
  element.querySelector(".how").textContent = how.join(" ");
  element.querySelector(".licence").textContent = run.licence ? `Pictures come under the licence of the data: ${run.licence}` : "";
  [frame, numbers, handles, rows, box, points, chosen, active] = [null, [], [], [], null, null, 0, 0];
  where.querySelector(".parts").replaceChildren();
  board.replaceChildren(picture);
  board.classList.toggle("points", has.keypoints);
  if (has.boxes) makeBox();
  if (has.keypoints) run.parts.forEach((name, part) => makePoint(name, part, run.parts.length));
  way();
}

function way() {
  const there = current().captions && toText.value.trim() !== "";
  element.querySelector(".of-way").hidden = !there;
  form.querySelector(".value").textContent = share.value;
}

form.addEventListener("submit", event => { event.preventDefault(); redraw(true, false); });
where.addEventListener("submit", event => event.preventDefault());
for (const field of [text, seed, n]) field.addEventListener("change", () => redraw(true, false));
toText.addEventListener("input", way);
toText.addEventListener("change", () => redraw(true, false));
share.addEventListener("input", () => { way(); redraw(false); });
share.addEventListener("change", () => redraw(true));
complete.addEventListener("change", () => redraw(true));
runField.addEventListener("change", () => { offer(); redraw(true, false); });
element.querySelector(".reset").addEventListener("click", () => { [box, points] = [null, null]; redraw(true); });
offer();
redraw(true, false);
