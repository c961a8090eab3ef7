const at = selector => element.querySelector(selector);
const image = at(".frame img"), answers = at(".answers");
let study = new URLSearchParams(location.search).get("study") || "", told = null, view = null, ready = false;

// The token is all that a browser keeps; where it keeps nothing, a person who leaves begins anew.
let token = "";
const drawer = () => `ganvas judge ${study}`;
const remember = () => { try { localStorage.setItem(drawer(), token); } catch { } };
const recall = () => { try { return localStorage.getItem(drawer()) || ""; } catch { return ""; } };
const forget = () => { token = ""; try { localStorage.removeItem(drawer()); } catch { } };

function turnTo(name) {
  ready = false;
  for (const section of element.querySelectorAll("section")) section.hidden = !section.classList.contains(name);
}

async function arrive() {
  token = study ? recall() : "";
  let answer = await call("arrive", {study, token});
  if (answer !== null && answer.study && !study) {
    study = answer.study;
    token = recall();
    if (token) answer = await call("arrive", {study, token});
  }
  if (answer === null) return;
  if (answer.studies) return list(answer.studies);
  told = answer;
  view = answer.view;
  at(".licence").textContent = answer.licence.map(line => `The pictures are made from: ${line}`).join(" ");
  if (view === null) token = "";
  if (told.closed) return end();
  if (view === null) return start();
  if (view.done === 0 && told.examples) return show(0);
  next(view);
}

function list(studies) {
  turnTo("list");
  at(".list .none").hidden = studies.length > 0;
  at(".list ul").replaceChildren(...studies.map(({id, title}) => ganvas.make("li", {}, ganvas.make("a", {href: `?study=${id}`, textContent: title}))));
}

function start() {
  turnTo("start");
  at(".start h1").textContent = told.title;
  const examples = told.examples ? ` Before them come ${told.examples} examples with their scores.` : "";
  at(".start .about").textContent = `You see ${told.count} pictures, one at a time, and say of each: ${told.question} ` +
    `An answer cannot be taken back. You may stop at any time and come back with this browser, to go on where you were.${examples}`;
  at(".agree span").textContent = told.consent;
  at(".agree input").checked = false;
}

at(".start form").addEventListener("submit", async event => {
  event.preventDefault();
  const button = at(".start button");
  if (button.disabled) return;
  button.disabled = true;
  const answer = await call("join", {study, agreed: at(".agree input").checked});
  button.disabled = false;
  if (answer === null) return;
  token = answer.token;
  remember();
  if (told.examples) return show(0);
  const first = await call("see", {study, token});
  if (first !== null) next(first);
});

// Puts a picture on the page as large as fits by whole pixels, and waits until it is there.
async function put(uri, most) {
  image.src = uri;
  await image.decode();
  const room = Math.min(most, at(".frame").clientWidth - 32);
  image.width = image.naturalWidth * Math.max(1, Math.floor(room / Math.max(image.naturalWidth, image.naturalHeight)));
  at(".frame").scrollTo(0, 0);
}

function buttons(pairs, done) {
  const before = answers.contains(document.activeElement);
  answers.replaceChildren(...pairs.map(([said, label, key]) => {
    const button = ganvas.make("button", {type: "button", value: said, textContent: label});
    if (key) button.setAttribute("aria-keyshortcuts", key);
    button.addEventListener("click", () => done(said));
    return button;
  }));
  (before ? answers.firstElementChild : at(".frame")).focus({preventScroll: true});
}

async function show(number) {
  const answer = await call("example", {study, token, number});
  if (answer === null) return;
  turnTo("look");
  const label = told.choices.find(([said]) => said === answer.score)[1];
  at(".place").textContent = `Example ${number + 1} of ${told.examples}`;
  at("progress").value = 0;
  at(".look h2").textContent = `This is a ${label.replace(" ", ", ")}.`;
  at(".keys").textContent = "Key: N for the next.";
  buttons([["next", number + 1 < told.examples ? "Next example" : "Begin to judge", "N"]], async () => {
    if (!ready) return;
    ready = false;
    if (number + 1 < told.examples) return show(number + 1);
    const first = await call("see", {study, token});
    if (first !== null) next(first);
  });
  await put(answer.picture, 1);
  ready = true;
}

const keyOf = said => said[0].toUpperCase();

async function next(given) {
  view = given;
  if (view.place === null) return end();
  const there = !at(".look").hidden && answers.childElementCount === told.choices.length && told.choices.length > 1;
  turnTo("look");
  if (!there) buttons(told.choices.map(([said, label]) => [said, label, keyOf(said)]), say_it);
  at(".look h2").textContent = told.question;
  at(".keys").textContent = "Keys: " + told.choices.map(([said, label]) => `${keyOf(said)} for ${label.replace(/^\d /, "")}`).join(", ") + ".";
  await put(view.picture, told.examples ? 1 : 384);
  at("progress").value = view.done / view.count;
  at(".place").textContent = `${view.done + 1} of ${view.count}`;
  ready = true;
}

// One answer for the picture that is seen: what is pressed before the next one is there is not taken for it.
async function say_it(said) {
  if (!ready) return;
  ready = false;
  const answer = await call("answer", {study, token, place: view.place, said});
  if (answer === null) ready = true;
  else await next(answer);
}

function end() {
  turnTo("end");
  const all = view !== null && view.place === null;
  at(".end h1").textContent = told.closed && !all ? "This study is closed" : "Thank you";
  at(".end .about").textContent = told.closed
    ? (told.result ? "The study is closed. This is what all answers amount to." : "It was closed before anybody answered.")
    : `You have judged all ${view.count} pictures, and your answers are stored. The result is shown here once the study is closed.`;
  at(".end .result").replaceChildren(...(told.result ? ganvas.result(told.result) : []));
  at(".other").parentElement.hidden = told.closed;
}

at(".other").addEventListener("click", () => { forget(); view = null; start(); });

document.addEventListener("keydown", event => {
  // A key that is held down says nothing more.
  if (at(".look").hidden || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const button = [...answers.children].find(one => keyOf(one.value) === event.key.toUpperCase());
  if (button) { event.preventDefault(); button.click(); }
});

arrive();
