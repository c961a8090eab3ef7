const all = element.querySelector(".all"), form = element.querySelector("form");
const {kind, run, folder, n, seed, title, consent} = form.elements;
const KINDS = {
  ask_real: ["Which pictures are real?", facts.draw],
  ask_opinions: ["How good are enlarged photos?", facts.enlarge],
  add: ["What a folder holds", []],
};
const showing = new Set();

async function list() {
  const answer = await call("studies", {}, {quiet: true});
  if (answer === null) return;
  all.replaceChildren(...answer.studies.map(card));
  for (const row of answer.studies) if (showing.has(row.id)) show(row.id);
  ganvas.options(folder, answer.folders.map(name => [name, name]));
  KINDS.add[1] = answer.folders;
  const before = kind.value;
  ganvas.options(kind, Object.entries(KINDS).filter(([, [, there]]) => there.length).map(([name, [words]]) => [name, words]));
  if (KINDS[before] && KINDS[before][1].length) kind.value = before;
  offer();
}

function card(row) {
  const address = new URL(`/judge/?study=${row.id}`, location.href).href;
  const article = ganvas.make("article", {id: `study-${row.id}`, "aria-label": row.title},
    ganvas.make("h3", {textContent: row.title}),
    ganvas.make("p", {}, ganvas.make("a", {href: address, textContent: address, target: "_blank", rel: "noopener"})),
    ganvas.make("p", {className: "hint counts"}));
  const results = ganvas.make("button", {type: "button", textContent: "Show the result"});
  const end = ganvas.make("button", {type: "button", textContent: "Close the study", className: "end"});
  results.addEventListener("click", () => show(row.id));
  end.addEventListener("click", () => close(row));
  article.append(ganvas.make("div", {className: "buttons"}, results, end), ganvas.make("div", {className: "result"}));
  count(article, row);
  return article;
}

function count(article, row) {
  const people = `${row.people} ${row.people === 1 ? "person" : "people"}`, said = `${row.answers} ${row.answers === 1 ? "answer" : "answers"}`;
  article.querySelector(".counts").textContent = `${people}, ${said}; pictures in ${row.folder}` + (row.closed ? `; closed ${row.closed} UTC` : "");
  article.querySelector(".end").hidden = row.closed !== "";
}

const cardOf = id => element.querySelector(`#study-${id}`);

async function show(id) {
  const answer = await call("result", {study: id});
  if (answer === null) return;
  showing.add(id);
  const article = cardOf(id), box = article.querySelector(".result");
  count(article, answer.row);
  if (answer.result === null) return box.replaceChildren();
  const links = [["answers.zip", "Save the answers (CSV, one a person)"], ["result.json", "Save the result (JSON)"]];
  const saves = links.flatMap(([name, words]) => [ganvas.saving(answer.files[name], name, words), " "]);
  box.replaceChildren(...ganvas.result(answer.result), ganvas.make("p", {}, ...saves));
}

async function close(row) {
  if (!confirm(`Close “${row.title}” for good? No more answers are taken, and those who judged see the result.`)) return;
  const answer = await call("close", {study: row.id});
  if (answer !== null) count(cardOf(row.id), answer.row);
}

function offer() {
  const what = kind.value;
  element.querySelector(".of-run").hidden = what !== "ask_real";
  element.querySelector(".of-methods").hidden = what !== "ask_opinions";
  element.querySelector(".of-folder").hidden = what !== "add";
  for (const label of element.querySelectorAll(".of-n")) label.hidden = what === "add";
  element.querySelector(".of-n span").textContent = what === "ask_real" ? "Pictures of each kind" : "Photos";
  form.querySelector(".main").disabled = what === "";
}

function chosen() {
  if (kind.value === "ask_real") return [run.value];
  return [...element.querySelectorAll(".methods input:checked")].map(box => box.value);
}

form.addEventListener("submit", async event => {
  event.preventDefault();
  const button = form.querySelector(".main");
  if (button.disabled) return;
  const texts = {title: title.value, consent: consent.value};
  if (kind.value !== "add" && !chosen().length) return say("Choose a run.", true);
  button.disabled = true;
  const answer = kind.value === "add"
    ? await call("add", {...texts, folder: folder.value})
    : await call(kind.value, {...texts, runs: chosen(), n: Math.floor(Number(n.value)), seed: Math.floor(Number(seed.value))});
  button.disabled = false;
  if (answer === null) return;
  await list();
  cardOf(answer.study).scrollIntoView({block: "nearest"});
});

kind.addEventListener("change", offer);
ganvas.options(run, facts.draw.map(name => [name, name]));
element.querySelector(".methods").replaceChildren(...facts.enlarge.map(name => ganvas.make("label", {}, ganvas.make("input", {type: "checkbox", value: name, checked: true}), ` ${name}`)));
consent.value = facts.consent;
consent.maxLength = title.maxLength = facts.longest;
element.querySelector(".where").textContent = "What `ganvas turing prepare` or `ganvas mos prepare` writes into " +
  `${facts.work}/NAME is offered here too, as a folder.`;
list();
