/** People of the fleet: subjects and where they were enrolled, enrollments that wait, and forgetting everywhere. */

import { $, ask, button, dates, faces as facesOf, fill, make, path, post, tell, words } from "./common.js";
import { problemOf } from "./releases.js";
import { plural, t } from "./words.js";

const PAUSE = 250;
let shown = [];
let turn = 0;
let pause = 0;
let leaving = ""; // the subject to forget

export async function enter() {
  const answer = await ask("page/people").catch(() => null);
  const said = await answer?.json();
  const problem = problemOf(answer, said);
  $("people-off").hidden = !problem;
  $("people-off").textContent = problem;
  $("people-card").hidden = $("enrollments-card").hidden = Boolean(problem);
  if (problem) return;
  fill($("people-collection"), said.collections.map((one) => one.name), (name) => make("option", "", name));
  load();
  if (document.body.dataset.role !== "look") pending();
}

export function tick() {}

async function load(next = false) {
  const collection = $("people-collection").value;
  if (!collection) { $("people-list").replaceChildren(make("li", "none", t("No collection has a subject yet: edge hub add collection NAME PICTURES."))); return; }
  const now = ++turn;
  const query = new URLSearchParams({ like: $("people-search").value.trim(), after: next ? shown.length : 0 });
  const answer = await ask(`${path("people", collection)}?${query}`).catch(() => null);
  if (!answer?.ok || now !== turn) return;
  const said = await answer.json();
  shown = next ? [...shown, ...said.subjects] : said.subjects;
  $("people-count").textContent = said.total === said.all ? plural(said.all, "{n} subject", "{n} subjects") : t("{n} of {all} subjects", { n: said.total, all: said.all });
  $("people-list").replaceChildren(...(shown.length ? shown.map(line) : [make("li", "none", t("No subject has this name."))]));
  $("people-more").hidden = !said.more;
  if (!next) risk(collection);
}

/** How often a stranger would get a name of this collection, and who is easily taken for whom. */
async function risk(collection) {
  const answer = await ask(path("people", collection, "risk")).catch(() => null);
  const found = answer?.ok ? await answer.json() : {};
  if (collection !== $("people-collection").value) return;
  $("people-risk").hidden = !found.false_names;
  if (!found.false_names) return;
  const pairs = found.confusable.map((pair) => t("{one} and {other}", { one: pair.subject, other: pair.other }));
  const looks = Math.round(Number((1 / found.false_names).toPrecision(2))).toLocaleString();
  const lines = [t("Estimate: a stranger gets a name about once in {n} looks; a match begins at {line} of 100.", { n: looks, line: found.needed })];
  if (pairs.length) lines.push(t("Easily confused: {pairs}.", { pairs: pairs.join(", ") }));
  $("people-risk").textContent = lines.join(" ");
}

function line(one) {
  const where = one.published === one.faces ? t("in the newest release") : one.published ? t("changed since the newest release") : t("not published yet");
  const from = one.devices.length ? t("enrolled on {devices}", { devices: one.devices.join(", ") }) : t("enrolled at the hub");
  const forget = button(t("Forget"), "", () => askToForget(one), "plain danger small needs-manage");
  forget.setAttribute("aria-label", t("Forget {name}", { name: one.subject }));
  return make("li", "", "", make("b", "", one.subject), make("small", "", [facesOf(one.faces), where, from].join(" · ")), forget);
}

function askToForget(one) {
  leaving = one.subject;
  $("forget-title").textContent = t("Forget {name} everywhere?", { name: leaving });
  $("forget-words").textContent = t("The faces are erased from every collection of the hub, and the name from all stored events, for good. Publish and roll out a release so that the devices erase it too.");
  $("forget-dialog").showModal();
}

async function forget() {
  const said = await post("page/people/forget", { subject: leaving });
  $("forget-dialog").close();
  if (!said.ok) return tell(words(said), "bad");
  tell(t("forgotten: {faces} faces, {events} events; publish a release now", { faces: said.faces, events: said.events }));
  load();
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
  return make("li", "", "", make("b", "", one.subject), make("small", "", facts), accept, answer("drop", t("Drop")), ...(one.against ? [make("span", "error", one.against)] : []));
}

async function decide(action, number, more) {
  const said = await post(path("enrollments", action), { numbers: [number], ...more });
  if (!said.ok) return tell(words(said), "bad");
  if (said.left.length) tell(said.left[0].against, "bad"); else tell(action === "accept" ? t("accepted: it ships with the next release") : t("dropped"));
  pending();
  load();
}

export function begin() {
  $("people-search").addEventListener("input", () => { clearTimeout(pause); pause = setTimeout(load, PAUSE); });
  $("people-more").addEventListener("click", () => load(true));
  $("people-collection").addEventListener("change", () => load());
  $("forget-yes").addEventListener("click", forget);
}
