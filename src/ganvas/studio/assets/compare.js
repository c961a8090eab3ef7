const find = selector => element.querySelector(selector);
const form = find("form"), {kind, seed, n, label, text, file, example, direction} = form.elements;
const boxes = find(".chosen-runs div"), pictures = find(".pictures");

const ofKind = () => facts.runs.filter(run => run.kind === kind.value);
const chosen = () => ofKind().filter(run => boxes.querySelector(`input[data-number="${facts.runs.indexOf(run)}"]`).checked);
const common = lists => lists.length ? lists[0].filter(name => lists.every(list => list.includes(name))) : [];

function list() {
  boxes.replaceChildren(...ofKind().map((run, place) => {
    const box = ganvas.make("input", {type: "checkbox", checked: place < 2, "data-number": String(facts.runs.indexOf(run))});
    box.addEventListener("change", offer);
    return ganvas.make("label", {}, box, `${run.name} (${run.system})`);
  }));
  find(".of-noise").hidden = kind.value !== "noise";
  find(".of-pictures").hidden = kind.value === "noise";
  offer();
}

// What the chosen runs have in common can be asked for.
function offer() {
  const runs = chosen();
  for (const box of boxes.querySelectorAll("input")) box.disabled = !box.checked && runs.length >= facts.most;
  const keep = (select, pairs) => {
    const before = select.value;
    ganvas.options(select, pairs);
    if (pairs.some(([value]) => value === before)) select.value = before;
  };
  const classes = common(runs.map(run => run.classes));
  keep(label, [["", "each in turn"], ...classes.map(name => [name, name])]);
  find(".of-class").hidden = classes.length === 0;
  find(".of-text").hidden = !runs.some(run => run.needs.includes("text"));
  const ways = common(runs.map(run => run.directions));
  keep(direction, ways.map(name => [name, name.replace("to", " to ")]));
  find(".of-direction").hidden = ways.length < 2;
  find(".of-examples").hidden = facts.examples === 0;
  keep(example, [["", "none"], ...runs.flatMap(run => Array.from({length: facts.examples}, (_, number) =>
    [JSON.stringify([run.name, number]), `${run.name}, ${number + 1}`]))]);
  form.querySelector(".main").disabled = runs.length === 0;
}

// Where the pictures of one run go, under its name.
function side(name) {
  const step = ganvas.make("span", {className: "hint"}), box = ganvas.make("div", {className: "tiles"});
  pictures.append(ganvas.make("section", {className: "side", "aria-label": name}, ganvas.make("h3", {}, `${name} `, step), box));
  return {step, box};
}

async function source() {
  if (example.value !== "") {
    const [run, number] = JSON.parse(example.value);
    return await call("example", {run, number, direction: direction.value});
  }
  if (file.files.length === 0) {
    say(facts.examples ? "Choose a picture, or one of the data." : "Choose a picture.", true);
    return null;
  }
  const uri = await ganvas.read(file.files[0], facts.bytes, say);
  return uri === null ? null : {picture: uri, truth: ""};
}

async function draw(run) {
  const asked = {
    run: run.name, seed: Math.max(0, Math.floor(Number(seed.value) || 0)), n: Number(n.value), text: text.value,
    label: label.value === "" ? null : label.value,
  };
  return await call("draw", asked);
}

const compare = latest(async () => {
  const runs = chosen(), noise = kind.value === "noise";
  pictures.replaceChildren();
  find(".measured").hidden = true;
  let given = null;
  if (!noise) {
    given = await source();
    if (given === null) return;
    const row = ganvas.make("div", {className: "row"}, ganvas.figure(given.picture, "The picture"));
    if (given.truth) row.append(ganvas.figure(given.truth, "What it belongs to in the data"));
    pictures.append(row);
  }
  const problems = [];
  const row = ganvas.make("div", {className: "row"});
  if (!noise) pictures.append(row);
  for (const run of runs) {
    const place = noise ? side(run.name) : null;
    const answer = noise ? await draw(run) : await call("translate", {run: run.name, picture: given.picture, direction: direction.value});
    if (answer === null) { problems.push(`${run.name}: ${find(".status").textContent}`); continue; }
    const told = `after step ${answer.step.toLocaleString("en")}`;
    if (noise) {
      place.step.textContent = told;
      place.box.replaceChildren(...answer.pictures.map((uri, number) => ganvas.figure(uri, answer.names[number])));
    } else row.append(ganvas.figure(answer.pictures[0], `${run.name}, ${told}, ${answer.names[0]}`));
  }
  await measure(runs);
  if (problems.length) say(problems.join(" "), true);
});

async function measure(runs) {
  const answer = await call("numbers", {runs: runs.map(run => run.name)});
  if (answer === null) return;
  const cells = (tag, texts) => texts.map(textContent => ganvas.make(tag, {textContent}));
  const line = (name, better, values) => ganvas.make("tr", {}, ganvas.make("th", {scope: "row"}, name, ...(better ? [ganvas.make("span", {className: "hint", textContent: ` ${better}`})] : [])), ...cells("td", values));
  find("thead tr").replaceChildren(ganvas.make("td"), ...answer.names.map(textContent => ganvas.make("th", {scope: "col", textContent})));
  find(".about").replaceChildren(...answer.about.map(([name, values]) => line(name, "", values)));
  for (const part of ["scores", "others"]) find(`tbody.${part}`).replaceChildren(...answer[part].map(row => line(row.name, row.better, row.cells)));
  find(".warnings").replaceChildren(...cells("li", answer.warnings));
  find(".thinned").hidden = !answer.thinned;
  find(".protocols").replaceChildren(...answer.scores.map(row => ganvas.make("details", {},
    ganvas.make("summary", {textContent: `How ${row.name} was measured`}),
    ganvas.make("dl", {}, ...row.protocol.flatMap(([name, value]) => [...cells("dt", [name]), ...cells("dd", [value])])))));
  find(".measured").hidden = false;
}

find(".most").textContent = facts.most;
const kinds = [...new Set(facts.runs.map(run => run.kind))];
ganvas.options(kind, kinds.map(name => [name, name]));
find(".of-kind").hidden = kinds.length < 2;
kind.addEventListener("change", () => { list(); pictures.replaceChildren(); find(".measured").hidden = true; });
file.addEventListener("change", () => { example.value = ""; });
form.addEventListener("submit", event => { event.preventDefault(); compare(); });
list();
