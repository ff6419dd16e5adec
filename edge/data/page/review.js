/** The review queue: a list of questions, the one that is looked at, and answers by mouse, finger or key. */

import { Answers } from "./answers.js";
import { $, ask, make, path, portrait, post, set, tell, words } from "./common.js";
import { NameField, forgetNames } from "./names.js";
import { able, looksOf, nearestOf, pictureOf, question, reasonOf, titleOf, when } from "./question.js";
import { Rows } from "./rows.js";
import { plural, t } from "./words.js";

const ROW = 64; // pixels, as in the style sheet
const ENOUGH = 2000; // questions that are held: more are asked for when these become few
const SORTS = {
  "oldest first": (a, b) => a.id - b.id,
  "newest first": (a, b) => b.id - a.id,
  "by name": (a, b) => (a.subject ?? "\uffff").localeCompare(b.subject ?? "\uffff") || a.id - b.id,
  "most similar first": (a, b) => nearestOf(b) - nearestOf(a) || a.id - b.id,
};
/** What was done with one question, or with several, in words. */
const DONE = {
  confirm: (what) => t("{what} confirmed", { what }),
  rename: (what, name) => t("{what} named {name}", { what, name }),
  new: (what, name) => t("{what} enrolled as {name}", { what, name }),
  reject: (what) => t("{what} rejected", { what }),
  discard: (what) => t("{what} ignored", { what }),
};
const NAMING = ["confirm", "rename", "new", "reject"]; // answers after which other questions may look different

const held = new Map(); // id -> question
let order = []; // what the list shows
let at = 0; // place of the current one in it
let moves = 0; // of the current one, so that a list that comes late does not take one back
const chosen = new Set(); // ids that are answered together
let from = 0; // where a selection with shift begins
const answers = new Answers(settled, sent);
let newest = 0;
let more = false;
let loading = null;
let odd = 0; // states in a row that did not fit what is held
let outdated = false; // an answer gave a name: the nearest subjects of other questions may have changed
let told = { enabled: false, crops: false, waiting: 0, days: 0, most: 0, answered: 0, pictures: 0 };
let rows;
let field;
let asking = null; // what a name is asked for: "rename" or "new"
let page = {}; // what the page adds, see ``begin``
let askedAbout = 0; // id of the question that is being named: it stays as it is meanwhile

const open = () => !$("part-review").hidden && !$("main").hidden;
const current = () => order[at];

/* ---- what the device has ---- */

export function show(review) {
  told = review;
  $("review-count").textContent = review.waiting > 999 ? "999+" : String(review.waiting);
  $("review-count").hidden = !review.waiting;
  page.kept?.(told);
  if (!open()) return;
  const fits = more || answers.busy || held.size === review.waiting;
  odd = fits ? 0 : odd + 1;
  if (asking) return; // the question that is being named stays where it is
  if (review.newest > newest && !more) load();
  else if (odd > 1) { odd = 0; reload(); } // somebody answers elsewhere, or they became too old
  else paint(false);
}

export function enter() {
  if (!held.size) load();
  paint();
  rows.soon();
}

async function reload() {
  const now = current()?.id;
  const before = moves;
  await loading;
  const refused = [...held.values()].filter((item) => item.refused);
  held.clear();
  newest = 0;
  await load();
  for (const item of refused) if (held.has(item.id)) held.get(item.id).refused = item.refused;
  if (refused.length) arrange();
  const place = order.findIndex((item) => item.id === now);
  if (place >= 0 && moves === before) move(place);
}

function load() {
  loading ??= fetchAll().finally(() => { loading = null; });
  return loading;
}

async function fetchAll() {
  do {
    const answer = await ask(`page/review?after=${newest}`).catch(() => null);
    if (!answer?.ok) return;
    const said = await answer.json();
    for (const item of said.questions) {
      if (!answers.has(item.id)) held.set(item.id, item);
    }
    newest = Math.max(newest, said.newest);
    more = said.more;
    if (!answers.groups.length) answers.groups = said.undoable.map((id) => ({ ids: [id] }));
    arrange();
  } while (more && held.size < ENOUGH);
}

/** The list anew, with the same question current. */
function arrange() {
  const now = current()?.id;
  const reason = $("review-reason").value;
  const reasons = [...new Set([...held.values()].map((item) => item.reason))].sort();
  options($("review-reason"), ["", ...reasons], (value) => (value ? t(value.replaceAll("_", " ")) : t("every reason")));
  order = [...held.values()].filter((item) => !reason || item.reason === reason).sort(SORTS[$("review-sort").value]);
  for (const id of chosen) if (!held.has(id)) chosen.delete(id);
  at = Math.max(0, order.findIndex((item) => item.id === now));
  paint();
}

function options(select, values, text) {
  const key = JSON.stringify(values);
  if (select.dataset.key === key) return;
  const now = select.value;
  select.dataset.key = key;
  select.replaceChildren(...values.map((value) => Object.assign(make("option", "", text(value)), { value })));
  if (values.includes(now)) select.value = now;
}

/* ---- what is shown ---- */

function paint(anew = true) {
  const any = order.length > 0;
  $("review-none").hidden = any;
  $("review-work").hidden = !any;
  $("review-undo").disabled = !answers.groups.length;
  $("review-total").textContent = held.size ? waitingText(held.size) + (more ? t(", and more") : "") : "";
  const refused = [...held.values()].filter((item) => item.refused).length;
  $("review-refused").hidden = !refused;
  $("review-refused").textContent = t("{n} not applied", { n: refused });
  if (!any) { nothing(); return; }
  at = Math.min(at, order.length - 1);
  rows.show(order, at, anew);
  rows.reveal();
  $("review-chosen").textContent = chosen.size ? t("{n} chosen", { n: chosen.size }) : "";
  $("review-all").textContent = chosen.size ? t("Choose none") : t("Choose all");
  const item = current();
  if (!asking || askedAbout !== item.id) question(item, chosen.size > 1 || (chosen.size === 1 && !chosen.has(item.id)) ? targets() : null, can);
}

function nothing() {
  const filtered = held.size > 0;
  const [head, text] = filtered ? [t("None for this reason"), t("Other questions wait: choose every reason above.")]
    : told.enabled ? [t("Nothing to answer"), page.sure] : [t("Review is off"), page.off];
  $("review-none").replaceChildren(make("h3", "", head), make("p", "", text));
  if (!filtered && !told.enabled) $("review-none").append(make("pre", "", page.example));
}

function paintRow(row, item) {
  const picked = chosen.has(item.id);
  set(row, { "aria-selected": String(picked) });
  row.classList.toggle("picked", picked);
  const tag = item.refused ? make("em", "refused", t("refused")) : make("em", "", reasonOf(item));
  const lines = make("span", "row-lines", "",
    make("span", "", "", make("b", "", item.pseudonym || !item.subject ? titleOf(item) : `${item.subject}?`), tag),
    make("span", "", "", make("small", "", `${item.camera} · ${when.format(item.time * 1000)}`), make("small", "", looksOf(item) || (item.nearest.length ? String(Math.round(nearestOf(item))) : "–"))));
  row.replaceChildren(make("i", "tick"), portrait(pictureOf(item), "", item.subject), lines);
}

/* ---- moving and choosing ---- */

function move(place) {
  if (!order.length) return;
  at = Math.min(order.length - 1, Math.max(0, place));
  moves++;
  paint(false);
}

const step = (by) => move(at + by);

function toggle(id) {
  if (chosen.has(id)) chosen.delete(id); else chosen.add(id);
  from = at;
  paint();
}

function choose(fits, text) {
  chosen.clear();
  for (const item of order) if (fits(item)) chosen.add(item.id);
  paint();
  tell(t("{n} chosen: {what}", { n: chosen.size, what: text }));
}

/** To the next one whose answer was refused, from the current one on and then from the top. */
function toRefused() {
  const next = [...order.keys()].map((place) => (place + at + 1) % order.length).find((place) => order[place].refused);
  if (next !== undefined) move(next);
}

const chooseSubject = () => { const { subject, collection, version } = current(); choose((item) => item.subject === subject && item.collection === collection && item.version === version, subject ? t("about {name}", { name: subject }) : t("without a name")); };
const chooseTrack = () => { const { id, camera, track } = current(); choose((item) => (track ? item.camera === camera && item.track === track : item.id === id), t("track {track} at {camera}", { track, camera })); };
const chooseAll = () => (chosen.size ? (chosen.clear(), paint()) : choose(() => true, t("all of the list")));

function clicked(event) {
  const row = event.target.closest(".row");
  if (!row) return;
  const place = order.indexOf(row.thing);
  if (place < 0) return;
  if (event.shiftKey) {
    const [first, last] = [Math.min(from, place), Math.max(from, place)];
    for (let index = first; index <= last; index++) chosen.add(order[index].id);
    at = place;
    return paint();
  }
  at = place;
  moves++;
  if (event.target.closest(".tick") || event.ctrlKey || event.metaKey) return toggle(row.thing.id);
  from = place;
  paint(false);
}

/* ---- answering ---- */

const targets = () => (chosen.size ? order.filter((item) => chosen.has(item.id)) : order.length ? [current()] : []);

/** The answer to what is chosen, or to the current question: it leaves the list at once, and comes back if refused. */
function give(answer, subject = "", force = false) {
  const all = targets();
  const those = all.filter((item) => able(item).includes(answer));
  if (those.length < all.length) tell(t("Nobody is asked about by name here: give a name, or ignore it"), "bad");
  if (!those.length) return;
  const gone = new Set(those.map((item) => item.id));
  for (const item of those) {
    held.delete(item.id);
    chosen.delete(item.id);
  }
  const before = order.slice(0, at).filter((item) => gone.has(item.id)).length;
  order = order.filter((item) => !gone.has(item.id));
  at -= before;
  answers.give(those.map((item) => ({ item, answer: subject && subject === item.subject ? "confirm" : answer, subject, force })));
  paint(those.length > 1);
  told = { ...told, waiting: Math.max(0, told.waiting - those.length) };
  outdated ||= NAMING.includes(answer);
  tell(DONE[answer](those.length > 1 ? plural(those.length, "{n} question", "{n} questions") : titleOf(those[0]), subject));
}

/** The boxes of the current question's picture; with them every question about the picture is answered. */
function correctBoxes() {
  const item = current();
  if (!item?.boxes) return;
  page.openBoxes(item, (answered) => {
    const ids = [item.id, ...answered.filter((id) => id !== item.id)];
    for (const id of ids) { held.delete(id); chosen.delete(id); }
    answers.took(ids);
    told = { ...told, waiting: Math.max(0, told.waiting - ids.length) };
    arrange();
  });
}

function sent() {
  if (outdated && !asking) { outdated = false; reload(); } else if (more && held.size < ENOUGH / 2) load();
  paint(false);
}

function settled(part, outcomes) {
  const back = [];
  outcomes.forEach((outcome, index) => {
    const given = part[index];
    if (outcome.ok) {
      if (given.answer === "new") forgetNames();
    } else if (outcome.code === "gone") tell(t("This question is answered already."));
    else back.push({ ...given.item, refused: { ...outcome, answer: given.answer, subject: given.subject, error: words(outcome) } });
  });
  if (!back.length) return;
  for (const item of back) held.set(item.id, item);
  arrange();
  const [one] = back;
  tell(back.length > 1 ? t("{n} answers not applied: they wait again, marked", { n: back.length }) : t("Not applied: {error}.", { error: one.refused.error }), "bad");
}

function pick(index) {
  const near = current()?.nearest[index];
  if (near) give("rename", near.subject);
}

async function undo() {
  const back = await answers.undo();
  if (!back.length) return tell(t("nothing to undo"));
  const good = back.filter((one) => one.ok);
  const again = good.map(({ question }) => question).filter(Boolean); // devices ask the others again
  for (const question of again) held.set(question.id, question);
  forgetNames();
  arrange();
  if (good.length) {
    if (again.length) move(order.findIndex((item) => item.id === again[0].id));
    tell(again.length ? t("Undone: {what}", { what: waitingText(again.length) }) : t("Undone: the devices will ask again."));
    if (again.some((question) => question.boxes)) reload();
  } else tell(t("Not undone: {error}", { error: words(back[0]) }), "bad");
}

/* ---- a name ---- */

function askName(answer) {
  const item = current();
  if (!item || !targets().some((one) => able(one).includes(answer))) return;
  asking = answer;
  askedAbout = item.id;
  $("question-name").hidden = false;
  $("question-name-label").textContent = answer === "new" ? (item.version ? t("Name of the new label") : t("Name of the new subject")) : item.version ? t("What does it show?") : t("Who is it?");
  $("question-name-hint").textContent = answer === "new" ? t("Enter enrolls, Escape cancels.") : t("Type, choose with the arrow keys; Enter answers, Escape cancels. An unknown name enrolls a new subject.");
  const others = item.nearest.map((one) => one.subject).filter((subject) => subject !== item.subject);
  field.open(item.collection, answer === "new" ? [] : others, item.choices);
}

function closeField() {
  if (!asking) return;
  asking = null;
  field.close();
  $("question-name").hidden = true;
  if ($("question-name").contains(document.activeElement)) $("questions").focus({ preventScroll: true });
}

async function nameChosen(name) {
  const exists = await field.exists(name);
  if (!asking) return;
  const answer = exists ? "rename" : "new";
  if (asking === "new" && exists) tell(t("{name} is enrolled already: this face is added", { name }));
  closeField();
  $("questions").focus({ preventScroll: true });
  give(answer, name);
}

/* ---- deleting, keys ---- */

function deleted(answered) {
  held.clear();
  chosen.clear();
  answers.groups = [];
  told = { ...told, waiting: 0, ...(answered ? { answered: 0, pictures: 0 } : {}) };
  arrange();
  page.kept?.(told);
}

/** A look shows another face than the rest of its question: it becomes a question by itself. */
async function split(id) {
  const said = await post(path("review", String(id), "split"));
  if (!said.ok) return tell(words(said), "bad");
  tell(t("This look is a question by itself now."));
  reload();
}

const waitingText = (n) => plural(n, "{n} question waits", "{n} questions wait");
const can = { give, pick, step, split, name: askName, leave: closeField, boxes: correctBoxes };

const keys = () => ({
  c: [t("yes, it is the subject asked about"), () => give("confirm")],
  x: [t("not this subject: the face is kept away from the name"), () => give("reject")],
  r: [t("another subject: type ahead"), () => askName("rename")],
  n: [t("a new subject"), () => askName("new")],
  d: [t("ignore: do not ask about this face again"), () => give("discard")],
  ...(page.openBoxes && { b: [t("correct the boxes of the picture"), correctBoxes] }),
  s: [t("skip to the next"), () => step(1)],
  u: [t("undo the last answer"), undo],
  w: [t("go to the next refused answer"), toRefused],
  f: [t("apply a refused answer anyway"), () => { const item = current(); if (item?.refused?.code === "refused" && !chosen.size) give(item.refused.answer, item.refused.subject, true); }],
  " ": [t("choose, or not, for an answer to several"), () => order.length && toggle(current().id)],
  g: [t("choose all about the same subject"), () => order.length && chooseSubject()],
  t: [t("choose all of the same track"), () => order.length && chooseTrack()],
  a: [t("choose all, or none"), chooseAll],
  j: ["", () => step(1)],
  k: ["", () => step(-1)],
  ArrowDown: ["", () => step(1)],
  ArrowUp: ["", () => step(-1)],
  PageDown: ["", () => step(rows.page)],
  PageUp: ["", () => step(-rows.page)],
  Home: ["", () => move(0)],
  End: ["", () => move(order.length - 1)],
  Escape: ["", () => { chosen.clear(); paint(); }],
  "?": [t("these keys"), () => $("keys-dialog").showModal()],
});
let KEYS = {};
const keyName = (key) => (key === " " ? t("Space") : key);

function pressed(event) {
  if (!open() || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.closest("input, select, textarea");
  if (typing) {
    if (event.key === "Escape" && asking) { event.preventDefault(); closeField(); }
    return;
  }
  const onButton = event.target.closest("button, a, summary");
  if (onButton && (event.key === " " || event.key === "Enter")) return;
  const single = event.key.length === 1;
  if (single && !$("keys-on").checked && event.key !== " ") return;
  const does = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
  if (does) { event.preventDefault(); does[1](); } else if (/^[1-9]$/.test(event.key)) { event.preventDefault(); pick(Number(event.key) - 1); }
}

function keysTable() {
  const lines = Object.entries(KEYS).filter(([, [text]]) => text).map(([key, [text]]) => [keyName(key), text]);
  lines.splice(5, 0, ["1 – 9", t("it is this one of the nearest")]);
  lines.unshift(["↑ ↓", t("previous and next (also k and j); Home, End, page keys")]);
  lines.push(["Esc", t("choose none; close what is open")]);
  $("keys-list").replaceChildren(...lines.flatMap(([key, text]) => [make("dt", "", "", make("kbd", "", key)), make("dd", "", text)]));
}

/**
 * ``adds``: texts ``sure`` where nothing waits and ``off`` where nothing is asked, with ``example`` settings; and what one page
 * alone has, ``openBoxes(item, saved)``, ``kept(told)`` and ``deleteAll(told, gone)``.
 */
export function begin(adds) {
  page = adds;
  KEYS = keys();
  rows = new Rows($("questions"), ROW, paintRow);
  field = new NameField($("question-input"), { chosen: nameChosen, eager: true });
  options($("review-sort"), Object.keys(SORTS), (name) => t(name));
  options($("review-reason"), [""], () => t("every reason"));
  $("review-sort").addEventListener("change", arrange);
  $("review-reason").addEventListener("change", arrange);
  $("questions").addEventListener("click", clicked);
  $("review-undo").addEventListener("click", undo);
  $("review-refused").addEventListener("click", toRefused);
  $("review-all").addEventListener("click", chooseAll);
  $("review-same").addEventListener("click", () => order.length && chooseSubject());
  $("review-keys").addEventListener("click", () => $("keys-dialog").showModal());
  if (page.deleteAll) $("review-delete").addEventListener("click", () => page.deleteAll(told, deleted));
  $("question-name").addEventListener("submit", (event) => { event.preventDefault(); if (field.name) nameChosen(field.name); });
  $("question-cancel").addEventListener("click", closeField);
  document.addEventListener("keydown", pressed);
  addEventListener("beforeunload", (event) => { if (answers.unsent.length) event.preventDefault(); });
  keysTable();
}
