/** Enrolled subjects as tiles, one of them with its faces, and strangers that wait for a name. */

import { $, ask, button, dates, faces as facesOf, make, nearness, path, portrait, post, tell, words } from "./common.js";
import * as history from "./history.js";
import { forgetNames } from "./names.js";
import { SubjectList } from "./subject_list.js";
import { t } from "./words.js";

let list; // of the subjects
let current = null; // the subject in the dialog

const pictureOf = (number) => (number ? `page/portraits/${number}.jpg` : "");
const seenText = (one) => (one.seen ? t("seen {when} at {camera}", { when: dates.moment.format(one.seen * 1000), camera: one.camera }) : t("not seen yet"));

export function show(state) {
  const names = state.collections.map((one) => one.name);
  list.choices(names);
  $("people-collection-field").hidden = names.length < 2;
  $("people-card").hidden = !names.length;
  const total = state.collections.reduce((sum, one) => sum + one.faces, 0);
  const key = `${list.collection} ${total}`;
  if ($("people-card").dataset.key === key) return;
  $("people-card").dataset.key = key;
  if (!$("part-people").hidden) list.load();
}

export function enter() {
  list.load();
  strangers();
}

function tile(one) {
  const made = make("button", "person", "", portrait(pictureOf(one.picture), "", one.subject),
    make("span", "", "", make("b", "", one.subject), make("small", "", facesOf(one.faces)), make("small", "", seenText(one))));
  made.type = "button";
  made.addEventListener("click", () => detail(one.subject));
  return make("li", "", "", made);
}

/* ---- one subject ---- */

async function detail(subject) {
  const answer = await ask(`${path("people", list.collection, "subject")}?name=${encodeURIComponent(subject)}`).catch(() => null);
  const one = await answer?.json();
  if (!answer?.ok) { list.load(); return tell(one ? words(one) : t("the device did not answer"), "bad"); }
  current = one;
  $("person-title").textContent = one.subject;
  $("person-seen").textContent = seenText(one);
  $("person-name").value = one.subject;
  $("person-merge").hidden = true;
  $("person-faces").replaceChildren(...one.faces.map(face));
  $("person-rivals").replaceChildren(...rivals(one));
  $("person-erase").hidden = !one.erasable;
  $("person-sure").hidden = true;
  if (!$("person-dialog").open) $("person-dialog").showModal();
}

function face(one) {
  const from = one.origin === "hub" ? t("from a release") : one.created ? dates.moment.format(one.created * 1000) : "";
  const out = button(t("Delete"), "", () => change("delete-face", { face_id: one.face_id }, t("face deleted")), "plain small");
  out.setAttribute("aria-label", t("Delete the face of {when}", { when: from }));
  out.hidden = one.origin === "hub";
  return make("li", "", "", portrait(pictureOf(one.picture), t("an enrolled face"), current.subject, t("no picture kept")),
    make("small", "", t("quality {n} %", { n: Math.round(100 * one.quality) })), make("small", "", from), out);
}

function rivals(one) {
  const lines = one.rivals.map((rival) => make("li", "", "", make("span", "", rival.subject), nearness(rival.likeness, one.needed), make("small", "", String(Math.round(rival.likeness)))));
  const found = lines.length ? [make("p", "head", t("Most alike among the enrolled")), make("ul", "nearest", "", ...lines)] : [make("p", "hint", t("Nobody enrolled is easily taken for this subject."))];
  if (one.false_names) found.push(make("p", "hint", t("Estimate: about 1 of {n} strangers is given any name of this collection; a match begins at {line} of 100.", { n: Math.round(1 / one.false_names), line: Math.round(one.needed * 10) / 10 })));
  return found;
}

async function change(action, values, done) {
  const said = await post(path("people", list.collection, action), { subject: current.subject, ...values });
  if (said.status === 409 && action === "rename") {
    $("person-merge").hidden = false;
    $("person-merge").textContent = t("Merge with {name}", { name: values.to });
    return tell(words(said), "bad");
  }
  if (!said.ok) {
    tell(words(said), "bad");
    if (said.status === 404) again(); // another browser was first
    return;
  }
  tell(done);
  forgetNames();
  list.load();
  const last = action === "delete-face" && current.faces.length === 1;
  if (action === "erase" || last) $("person-dialog").close(); else detail(said.subject ?? current.subject);
}

/** The dialog as the device has it now; it closes where the subject is gone. */
async function again() {
  forgetNames();
  list.load();
  const answer = await ask(`${path("people", list.collection, "subject")}?name=${encodeURIComponent(current.subject)}`).catch(() => null);
  if (answer?.status === 404) $("person-dialog").close(); else if (answer?.ok) detail(current.subject);
}

/* ---- strangers ---- */

async function strangers() {
  const answer = await ask("page/strangers").catch(() => null);
  if (!answer?.ok) return;
  const said = await answer.json();
  $("strangers-off").hidden = said.enabled;
  $("strangers").replaceChildren(...(said.strangers.length ? said.strangers.map(stranger) : said.enabled ? [make("li", "none", t("No unknown face came again."))] : []));
}

function stranger(one) {
  const form = make("form", "stranger", "", portrait(one.picture ? `page/history/${one.picture}/picture.jpg` : "", "", ""),
    make("span", "", "", make("b", "", one.name), make("small", "", t("seen {n} times, last {when}", { n: one.times, when: dates.moment.format(one.last * 1000) }))));
  const input = make("input");
  input.setAttribute("aria-label", t("Name of {name}", { name: one.name }));
  input.placeholder = t("name");
  input.required = true;
  const send = make("button", "", t("Name"));
  form.append(input, send);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = await post(path("strangers", one.name), { subject: input.value.trim() });
    if (said.status === 404) strangers();
    if (!said.ok) return tell(words(said), "bad");
    tell(t("{name} is {subject} now.", { name: one.name, subject: said.subject }));
    forgetNames();
    strangers();
    list.load();
  });
  return make("li", "", "", form);
}

export function begin() {
  list = new SubjectList($("people-tiles"), tile, t("Nobody is enrolled yet."));
  $("person-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const to = $("person-name").value.trim();
    if (to && to !== current.subject) change("rename", { to }, t("renamed to {name}", { name: to }));
  });
  $("person-merge").addEventListener("click", () => change("rename", { to: $("person-name").value.trim(), merge: true }, t("merged")));
  $("person-history").addEventListener("click", () => { $("person-dialog").close(); history.of(current.subject); });
  $("person-erase").addEventListener("click", () => { $("person-sure").hidden = false; $("person-sure-yes").focus(); });
  $("person-sure-yes").addEventListener("click", () => change("erase", {}, t("erased everywhere on this device")));
}
