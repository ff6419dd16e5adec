/** People of the fleet: subjects and where they were enrolled, enrollments that wait, and forgetting everywhere. */

import { $, ask, button, dates, faces as facesOf, make, path, post, tell, words } from "./common.js";
import { confirmed } from "./dialogs.js";
import { problemOf } from "./releases.js";
import { SubjectList } from "./subject_list.js";
import { plural, t, told } from "./words.js";

let list; // of the subjects

export async function enter() {
  const answer = await ask("page/people").catch(() => null);
  const said = await answer?.json();
  const problem = problemOf(answer, said);
  $("people-off").hidden = !problem;
  $("people-off").textContent = problem;
  $("people-card").hidden = $("enrollments-card").hidden = Boolean(problem);
  if (problem) return;
  list.choices(said.collections.map((one) => one.name));
  list.load();
  if (document.body.dataset.role !== "look") pending();
}

export function tick() {}

function line(one) {
  const where = one.published === one.faces ? t("in the newest release") : one.published ? t("changed since the newest release") : t("not published yet");
  const from = one.devices.length ? t("enrolled on {devices}", { devices: one.devices.join(", ") }) : t("enrolled at the hub");
  const gone = button(t("Forget"), "", () => forget(one.subject), "plain danger small needs-manage");
  gone.setAttribute("aria-label", t("Forget {name}", { name: one.subject }));
  return make("li", "", "", make("b", "", one.subject), make("small", "", [facesOf(one.faces), where, from].join(" · ")), gone);
}

async function forget(subject) {
  const about = t("The faces are erased from every collection of the hub, and the name from all stored events and review questions, for good. Publish and roll out a release so that the devices erase it too.");
  if (!await confirmed(t("Forget {name} everywhere?", { name: subject }), t("Forget everywhere"), { about: [make("p", "", about)], danger: true })) return;
  const said = await post("page/people/forget", { subject });
  if (!said.ok) return tell(words(said), "bad");
  tell(t("forgotten: {faces} faces, {events} events, {questions} questions; publish a release now", said));
  list.load();
  pending();
}

/* ---- enrollments that wait ---- */

async function pending() {
  const answer = await ask("page/enrollments").catch(() => null);
  if (!answer?.ok) return;
  const said = await answer.json();
  $("enrollments-count").textContent = said.total ? plural(said.total, "{n} face waits", "{n} faces wait") : "";
  $("enrollments-list").replaceChildren(...(said.faces.length ? said.faces.map(waiting) : [make("li", "none", t("No face of a device waits."))]));
}

function waiting(one) {
  const facts = [one.device, one.collection, t("quality {n} %", { n: Math.round(100 * one.quality) }), dates.moment.format(one.created * 1000)].join(" · ");
  const answer = (action, text, more = {}) => button(text, "", () => decide(action, one.number, more), "plain small needs-manage");
  const accept = answer("accept", one.against ? t("Accept anyway") : t("Accept"), one.against ? { force: true } : {});
  return make("li", "", "", make("b", "", one.subject), make("small", "", facts), accept, answer("drop", t("Drop")), ...(one.against ? [make("span", "error", told(one.against))] : []));
}

async function decide(action, number, more) {
  const said = await post(path("enrollments", action), { numbers: [number], ...more });
  if (!said.ok) return tell(words(said), "bad");
  if (said.left.length) tell(told(said.left[0].against), "bad"); else tell(action === "accept" ? t("accepted: it ships with the next release") : t("dropped"));
  pending();
  list.load();
}

export function begin() {
  list = new SubjectList($("people-list"), line, t("No collection has a subject yet: edge hub add collection NAME PICTURES."));
}
