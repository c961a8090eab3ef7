const form = element.querySelector("form"), grid = element.querySelector(".tiles"), chosen = element.querySelector(".chosen");
const {run: runField, seed, n, label, truncation} = form.elements;
const current = ganvas.runs(runField, facts.runs);

function asked() {
  return {
    run: runField.value,
    seed: Math.max(0, Math.floor(Number(seed.value) || 0)),
    label: label.value === "" ? null : Number(label.value),
    truncation: Number(truncation.value) >= 3 ? null : Number(truncation.value),
  };
}

function offer() {
  const run = current();
  ganvas.options(label, [["", "each in turn"], ...run.classes.map((name, number) => [number, name])]);
  form.querySelector(".of-class").hidden = run.classes.length === 0;
  form.querySelector(".of-truncation").hidden = !run.latents;
  element.querySelector(".licence").textContent = run.licence ? `Pictures come under the licence of the data: ${run.licence}` : "";
}

let drawn = "", when = 0;

const draw = latest(async () => {
  const given = asked(), wanted = JSON.stringify([given, n.value]);
  form.querySelector(".value").textContent = given.truncation === null ? "off" : given.truncation;
  if (wanted === drawn && performance.now() - when < 500) return; // Enter changes a field and submits it
  const answer = await call("draw", {...given, n: Number(n.value)});
  if (answer === null) return;
  [drawn, when] = [wanted, performance.now()];
  chosen.hidden = true;
  ganvas.tiles(grid, answer.pictures, answer.names, number => look({...given, seed: answer.seeds[number], label: answer.labels[number]}));
});

const look = latest(async given => {
  const answer = await call("look", given);
  if (answer === null) return;
  chosen.hidden = false;
  chosen.querySelector("h2").textContent = answer.name;
  const figures = [ganvas.figure(answer.picture, "The picture")];
  if (answer.map) figures.push(ganvas.figure(answer.map, answer.reading));
  chosen.querySelector(".row").replaceChildren(...figures);
  chosen.querySelector(".said").textContent = answer.note;
  chosen.querySelector(".save").replaceChildren(ganvas.saving(answer.picture, `${answer.name}.png`, "Save this picture"));
  const near = chosen.querySelector(".nearest"), said = chosen.querySelector(".nearest-said");
  near.replaceChildren();
  said.textContent = "";
  chosen.querySelector(".of-data").hidden = !facts.data;
  chosen.scrollIntoView({block: "nearest"});
  if (!facts.data) return;
  said.textContent = "Comparing with the training pictures…";
  const found = await call("neighbours", given, {quiet: true});
  if (found === null) { said.textContent = ""; return; }
  near.replaceChildren(...found.pictures.map((uri, number) => ganvas.figure(uri, found.names[number])));
  said.textContent = found.note;
});

form.addEventListener("submit", event => { event.preventDefault(); draw(); });
form.querySelector(".more").addEventListener("click", () => { seed.value = asked().seed + Number(n.value); draw(); });
runField.addEventListener("change", () => { offer(); draw(); });
for (const field of [n, label, seed]) field.addEventListener("change", draw);
truncation.addEventListener("input", draw);
offer();
draw();
