/** Enrollment: a name, pictures from a camera or from files, a look at what would be enrolled. */

import { $, button, fill, make, nearness, path, portrait, post, set, tell, words, working } from "./common.js";
import { View } from "./live.js";
import { NameField, forgetNames } from "./names.js";
import { plural, t, told } from "./words.js";

const GRADES = [[0.75, "good"], [0.5, "fair"], [0, "poor"]]; // quality from which
const TALLEST = 20; // rem of a picture that was taken
const cards = []; // pictures that are looked at, newest first
let field;
let view = null; // of the chosen camera
let cameras = [];

export function show(state) {
  $("enroll").hidden = !state.enrollable.length;
  $("enroll-off").hidden = state.enrollable.length > 0;
  fill($("enroll-collection"), state.enrollable, (name) => make("option", "", name));
  $("enroll-collection-field").hidden = state.enrollable.length < 2;
  if (!field.collection && state.enrollable.length) field.collection = $("enroll-collection").value;
  cameras = state.cameras;
  fill($("enroll-camera"), cameras.map((camera) => camera.name), (name) => make("option", "", name));
  $("enroll-camera-field").hidden = cameras.length < 2;
  const camera = cameras.find((one) => one.name === view?.name);
  if (camera) view.tell(camera);
  for (const mode of document.querySelectorAll("input[name=enroll-from]")) if (mode.value === "camera") mode.disabled = !cameras.length;
  watch();
}

/* ---- where pictures come from ---- */

const mode = () => document.querySelector("input[name=enroll-from]:checked").value;
const seen = () => !$("part-people").hidden && !$("enroll").hidden;

/** The live picture of the chosen camera, only while it is wanted. */
export function watch() {
  const name = seen() && mode() === "camera" ? $("enroll-camera").value : "";
  $("from-camera").hidden = mode() !== "camera";
  $("from-files").hidden = mode() !== "files";
  if ((view?.name ?? "") === name) { view?.run(); return; }
  view = name ? new View(name) : null;
  $("enroll-live").replaceChildren(...(view ? [view.figure] : []));
  const camera = cameras.find((one) => one.name === name);
  if (camera) view.tell(camera);
}

async function takePicture() {
  const from = $("enroll-camera").value;
  const address = `${path("collections", $("enroll-collection").value, "looks")}?camera=${encodeURIComponent(from)}`;
  const said = await working($("enroll-take"), () => post(address));
  if (!said.ok) return tell(words(said), "bad");
  add({ title: t("from {name}", { name: from }), ...said });
}

async function takeFiles(files) {
  const collection = $("enroll-collection").value;
  const progress = $("enroll-progress");
  const all = [...files];
  for (const [index, file] of all.entries()) {
    progress.textContent = t("checking {n} of {all}: {name}", { n: index + 1, all: all.length, name: file.name });
    const said = await post(path("collections", collection, "looks"), file);
    add(said.ok ? { title: file.name, ...said } : { title: file.name, faces: [], error: said.error, try: said.try, collection });
  }
  progress.textContent = "";
  $("enroll-files").value = "";
}

/* ---- cards: a picture, what was found in it, and what would be enrolled ---- */

function add(look) {
  // of several faces none is chosen: the picture may show other people as well
  const card = { ...look, face: look.faces.length === 1 ? 0 : null, status: "", refused: "", odd: false };
  card.element = make("li", "look");
  cards.unshift(card);
  $("enroll-looks").prepend(card.element);
  draw(card);
  summary();
  compare();
}

function remove(card) {
  cards.splice(cards.indexOf(card), 1);
  card.element.remove();
  summary();
  compare();
}

const faceOf = (card) => card.faces[card.face ?? -1];
const undecided = (card) => !card.status && card.faces.length > 1 && card.face === null;
const ready = (card) => !card.status && faceOf(card) && !faceOf(card).reason;
/** The enrolled subject that the face looks like, where it is not the one that was typed. */
const rival = (card, name) => { const [near] = faceOf(card).nearest; return near?.match && near.subject !== name ? near : null; };

function draw(card) {
  const head = make("div", "look-head", "", make("b", "", card.title), button(t("Remove"), "", () => remove(card), "plain small"));
  head.lastChild.setAttribute("aria-label", t("Remove {name}", { name: card.title }));
  const parts = [head];
  if (card.status) parts.push(make("p", "done", card.status));
  else if (!card.faces.length) parts.push(still(card), problem(card));
  else parts.push(still(card), details(card));
  card.element.className = `look${card.status ? " finished" : ""}`;
  card.element.replaceChildren(...parts);
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;
const problem = (said) => make("p", "error", sentence(told(said.error)), ...(said.try ? [make("small", "", ` ${sentence(told(said.try))}`)] : []));

/** The picture as it was taken, each face of it a button. */
function still(card) {
  const frame = make("div", "still");
  if (!card.picture) { frame.append(make("span", "none", t("no picture"))); return frame; }
  const picture = make("img");
  picture.alt = card.title;
  picture.src = card.picture;
  frame.append(picture);
  frame.style.aspectRatio = `${card.width} / ${card.height}`;
  frame.style.maxWidth = `${(TALLEST * card.width) / card.height}rem`;
  card.faces.forEach((face, index) => {
    const [left, top, width, height] = face.box;
    const spot = make("button", `spot${face.reason ? " bad" : ""}`, card.faces.length > 1 ? String(index + 1) : "");
    spot.type = "button";
    Object.assign(spot.style, { left: `${left * 100}%`, top: `${top * 100}%`, width: `${width * 100}%`, height: `${height * 100}%` });
    set(spot, { "aria-pressed": String(index === card.face), "aria-label": t("face {n} of {all}", { n: index + 1, all: card.faces.length }) + (face.reason ? `: ${told(face.error)}` : "") });
    spot.addEventListener("click", () => { card.face = index; card.refused = ""; draw(card); summary(); compare(); card.element.querySelectorAll(".spot")[index].focus(); });
    frame.append(spot);
  });
  return frame;
}

function details(card) {
  const face = faceOf(card);
  const box = make("div", "look-details");
  if (!face) {
    box.append(make("p", "verdict warn", t("{n} faces: choose the one to enroll in the picture.", { n: card.faces.length })));
    return box;
  }
  const [, grade] = GRADES.find(([from]) => face.quality >= from);
  const facts = make("div", "look-facts", "",
    make("p", `grade ${face.reason ? "poor" : grade}`, "", make("b", "", `${Math.round(100 * face.quality)} %`), ` ${t("quality, {n} pixels", { n: face.pixels })}`));
  if (card.faces.length > 1) facts.append(make("p", "hint", t("{all} faces: face {n} is chosen. Choose another in the picture.", { all: card.faces.length, n: card.face + 1 })));
  const top = make("div", "look-face", "", portrait(face.picture, t("the face that would be enrolled"), "?"), facts);
  box.append(top);
  if (face.reason) { box.append(problem(face)); return box; }
  box.append(near(card, face), verdict(card), enrollButton(card));
  return box;
}

function near(card, face) {
  if (!face.nearest.length) return make("p", "hint", t("Nobody is enrolled in this collection yet."));
  const lines = face.nearest.map((one) => make("li", "", "", make("span", "", one.subject), nearness(one.likeness, card.match_likeness), make("small", "", String(Math.round(one.likeness)))));
  return make("div", "", "", make("p", "head", t("Nearest enrolled subjects")), make("ul", "nearest", "", ...lines));
}

function verdict(card) {
  const name = field.name;
  const line = make("p", "verdict");
  const face = faceOf(card);
  const other = rival(card, name);
  const own = face.nearest.find((one) => one.subject === name);
  if (card.refused) line.append(make("b", "", t("Not enrolled:")), ` ${card.refused}.`);
  else if (card.odd) line.append(t("This face looks unlike the others here. It is left out of “Enroll all”: check that it shows the same subject."));
  else if (other) {
    line.append(t("This looks like {name}, who is enrolled already ({n} of 100).", { name: other.subject, n: Math.round(other.likeness) }));
    line.append(button(t("It is {name}", { name: other.subject }), "", () => { $("enroll-subject").value = other.subject; field.changed(); }, "plain small"));
  } else if (own?.match) line.append(t("It matches the faces of {name}.", { name }));
  else if (own) line.append(t("It is little like the enrolled faces of {name} ({n} of 100).", { name, n: Math.round(own.likeness) }));
  else if (face.nearest.length) line.append(t("Nobody enrolled looks like this."));
  line.className = `verdict ${card.refused || card.odd || other ? "warn" : own && !own.match ? "warn" : "fine"}`;
  return line;
}

function enrollButton(card) {
  const name = field.name;
  const doubt = card.refused || card.odd || (name && rival(card, name));
  if (!name) return button(t("Enter a name first"), "", () => $("enroll-subject").focus(), "plain");
  const made = button(doubt ? t("Enroll as {name} anyway", { name }) : t("Enroll as {name}", { name }), "", () => enroll(card, Boolean(doubt)), doubt ? "plain" : "");
  made.dataset.action = "enroll";
  if (card.busy) made.setAttribute("aria-disabled", "true");
  if (doubt) made.dataset.forced = "";
  return made;
}

async function enroll(card, force = false) {
  const name = field.name;
  if (!name || !ready(card)) return;
  card.busy = true;
  draw(card);
  const query = new URLSearchParams({ face: card.face, subject: name, ...(force ? { force: "1" } : {}) });
  const said = await post(`${path("looks", card.look)}?${query}`);
  card.busy = false;
  if (said.ok) card.status = said.status === "added" ? t("Enrolled as {name}.", { name: said.subject }) : t("Already enrolled as {name}.", { name: said.subject });
  else if (said.status === 409) card.refused = said.error;
  else tell(words(said), "bad");
  forgetNames();
  draw(card);
  summary();
  if (said.ok) tell(card.status);
}

/** What "Enroll all" takes: one chosen face, like the others, and like nobody else who is enrolled. */
const clear = () => cards.filter((card) => ready(card) && !card.refused && !card.odd && !rival(card, field.name));

async function enrollAll() {
  await compare();
  for (const card of clear()) await enroll(card);
}

let comparing = 0;

/** Compare the chosen faces with each other, and with those that the subject has: which one looks unlike the rest. */
async function compare() {
  const turn = ++comparing;
  const chosen = cards.filter(ready);
  let odd = [];
  if (chosen.length > 1) {
    const said = await post(path("looks", "compare"), { subject: field.name, looks: chosen.map(({ look, face }) => ({ look, face })) });
    if (turn !== comparing || !said.ok) return;
    odd = said.odd;
  }
  for (const card of cards) {
    const now = odd.includes(card.look);
    if (card.odd === now) continue;
    card.odd = now;
    if (!card.status) draw(card);
  }
  summary();
}

function summary() {
  const name = field.name;
  const n = clear().length;
  const open = cards.filter(undecided).length;
  const odd = cards.filter((card) => ready(card) && card.odd).length;
  $("enroll-all").hidden = n < 2;
  $("enroll-all").disabled = !name;
  $("enroll-all").textContent = name ? t("Enroll all {n} as {name}", { n, name }) : t("Enroll all {n}: enter a name first", { n });
  const left = [
    open ? plural(open, "{n} picture shows several faces and is left out until one is chosen.", "{n} pictures show several faces and are left out until one is chosen.") : "",
    odd ? plural(odd, "{n} face looks unlike the others and is left out.", "{n} faces look unlike the others and are left out.") : "",
  ].filter(Boolean).join(" ");
  if ($("enroll-left").textContent !== left) $("enroll-left").textContent = left;
  $("enroll-empty").hidden = cards.length > 0;
}

let pause = 0;

function renamed() {
  for (const card of cards) if (!card.status) { card.refused = ""; draw(card); }
  summary();
  clearTimeout(pause);
  pause = setTimeout(compare, 300);
}

/** The device does not answer: the picture here is not current. */
export const lose = () => view?.lose();

export function begin() {
  field = new NameField($("enroll-subject"), { changed: renamed });
  $("enroll-collection").addEventListener("change", () => { field.collection = $("enroll-collection").value; });
  $("enroll-camera").addEventListener("change", watch);
  for (const one of document.querySelectorAll("input[name=enroll-from]")) one.addEventListener("change", watch);
  $("enroll-take").addEventListener("click", takePicture);
  $("enroll-files").addEventListener("change", () => takeFiles($("enroll-files").files));
  $("enroll-all").addEventListener("click", enrollAll);
  $("enroll").addEventListener("submit", (event) => event.preventDefault());
  const drop = $("from-files");
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => { event.preventDefault(); drop.classList.remove("over"); takeFiles(event.dataTransfer.files); });
  summary();
}
