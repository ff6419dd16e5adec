/** Releases: the next one with its dry run and its signature, rollouts in steps, releases that are published. */

import { $, ask, button, dates, fill, make, path, post, tell, words, working } from "./common.js";
import { confirmed } from "./dialogs.js";
import { plural, t, told } from "./words.js";

let busy = false;

export const enter = () => load();
export const tick = () => (busy ? null : load());

async function load() {
  const answer = await ask("page/releases").catch(() => null);
  const said = await answer?.json();
  const problem = problemOf(answer, said);
  $("releases-off").hidden = !problem;
  $("releases-off").textContent = problem;
  for (const card of document.querySelectorAll(".releases-card")) card.hidden = Boolean(problem);
  if (problem) return;
  expiring(said.expiring);
  draft(said);
  fill($("rollouts"), said.rollouts, rollout);
  if (!said.rollouts.length) $("rollouts").replaceChildren(make("li", "none", t("Nothing is rolled out yet.")));
  fill($("rollout-release"), said.releases.map((one) => one.id), (id) => make("option", "", id));
  fill($("rollout-group"), said.groups, (name) => make("option", "", name));
  $("rollout-form").hidden = !said.releases.length;
  fill($("releases-list"), said.releases, published);
  if (!said.releases.length) $("releases-list").replaceChildren(make("li", "none", t("No release is published yet.")));
  fill($("hub-changes"), said.changes, change);
  if (!said.changes.length) $("hub-changes").replaceChildren(make("li", "none", t("Nothing was changed here yet.")));
}

/** Why there is nothing to show; empty: there is. */
export function problemOf(answer, said) {
  if (answer?.ok) return said.missing ? words({ error: said.missing, try: said.try }) : "";
  return said ? words(said) : t("the hub did not answer");
}

function expiring(found) {
  $("releases-expiring").hidden = !found.length;
  fill($("releases-expiring"), found, (one) => make("p", "", `${told(one.text)}: ${told(one.try)}`));
}

const bytes = (count) => (count >= 1e6 ? `${(count / 1e6).toFixed(1)} MB` : `${Math.ceil(count / 1e3)} kB`);

function parts(one) {
  const collections = Object.entries(one.collections).map(([name, count]) => `${name} (${count.toLocaleString()})`);
  const labels = Object.entries(one.custom_labels).map(([name, number]) => `${name} ${number}`);
  return { models: one.models.join(", "), collections: collections.join(", "), labels: labels.join(", ") };
}

function draft(said) {
  const { models, collections, labels } = parts(said.draft);
  const facts = [[t("Models"), models], [t("Collections (faces)"), collections], [t("Custom labels"), labels], [t("Taxonomy"), said.draft.taxonomy ? t("its own") : ""]].filter(([, value]) => value);
  if (!facts.length) facts.push([t("Content"), t("nothing yet: edge hub add")]);
  $("draft-facts").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", "", name), make("dd", "", value)]));
  $("signing").hidden = !said.waiting;
  $("signing-title").textContent = said.waiting ? t("Release {name} waits for its signature", { name: said.waiting }) : "";
  $("signing-file").download = `edge-${said.waiting}.json`;
}

/* ---- rollouts ---- */

const VERDICTS = { wait: () => t("waits for devices"), grow: () => t("ready for the next step"), done: () => t("every chosen device runs it"), stop: () => t("too many failures: it stops") };

function bar(one) {
  const made = make("span", "share");
  made.setAttribute("aria-hidden", "true");
  const part = (tag, count) => {
    const piece = make(tag);
    piece.style.width = `${one.devices ? (100 * count) / one.devices : 0}%`;
    return piece;
  };
  made.append(part("i", (one.percent * one.devices) / 100), part("b", one.verdict.committed), part("u", one.verdict.failed));
  return made;
}

function rollout(one) {
  const { verdict } = one;
  const head = make("div", "heads", "", make("h3", "", `${one.release} → ${one.group}`), make("b", "", one.hold ? t("on hold") : `${one.percent} %`));
  const counts = [t("{n} of {all} chosen devices run it", { n: verdict.committed, all: verdict.chosen }), ...(verdict.failed ? [plural(verdict.failed, "{n} failed", "{n} failed")] : []),
    ...(one.base ? [t("the others stay on {name}", { name: one.base })] : [])];
  const under = one.percent < 100 || verdict.action === "stop";
  const actions = make("div", "actions needs-manage");
  if (one.hold) actions.append(button(t("Resume"), "", () => act("resume", one, t("Resume the rollout?")), "plain"));
  else {
    if (under) actions.append(button(t("Next step"), "", () => act("next", one, t("Take the rollout to its next step?")), "plain"));
    actions.append(button(t("Hold"), "", () => act("hold", one, t("Pause the rollout? Devices keep what they run.")), "plain"));
  }
  if (one.base && under) actions.append(button(t("Stop and roll back"), "", () => act("stop", one, t("Stop, and take every device back to {name}?", { name: one.base })), "plain danger"));
  const reasons = verdict.reasons.filter(Boolean).map((text) => make("p", "error", told(text)));
  return make("li", `rollout ${verdict.action === "stop" ? "stopped" : ""}`, "", head, bar(one), make("p", "", (one.hold ? [] : [VERDICTS[verdict.action]()]).concat(counts).join(" · ")), ...reasons, actions);
}

async function act(action, { group }, question, more = {}) {
  if (!await confirmed(question, t("Yes"))) return;
  const said = await post(path("rollouts", action), { group, ...more });
  if (!said.ok) return tell(words(said), "bad");
  tell(said.hinted ? t("done: the devices were told") : t("done: the devices see it at their next check"));
  load();
}

/* ---- the next release ---- */

async function work(element, text, address, body) {
  busy = true;
  $("draft-plan").textContent = text;
  const said = await working(element, () => post(address, body));
  busy = false;
  $("draft-plan").className = `verdict ${said.ok ? "" : "warn"}`;
  $("draft-plan").textContent = said.ok ? "" : words(said);
  return said;
}

async function dry() {
  const said = await work($("draft-dry"), t("working: models are tried, this takes a while"), path("releases", "dry-run"));
  if (said.ok) $("draft-plan").textContent = t("Release {name}: a device downloads {size} in {files} new files.", { name: said.id, size: bytes(said.fetched), files: said.new_files });
}

async function sign() {
  const said = await work($("draft-sign"), t("working: models are tried, this takes a while"), path("releases", "to-sign"));
  if (said.ok) load();
}

async function signed() {
  const [file] = $("signing-signed").files;
  if (!file) return;
  const said = await work($("signing-signed"), t("working"), path("releases", "signed"), file);
  $("signing-signed").value = "";
  if (!said.ok) return;
  tell(t("release {name} is published: roll it out now", { name: said.release }));
  load();
}

/* ---- what is published, and what was changed ---- */

function published(one) {
  const { models, collections, labels } = parts(one);
  const facts = [dates.moment.format(one.created * 1000), models, collections, labels, bytes(one.bytes)].filter(Boolean).join(" · ");
  return make("li", "", "", make("b", "", one.id), make("small", "", facts));
}

const WHAT = {
  "enrollments: accept": "enrollments accepted", "enrollments: drop": "enrollments dropped", "people: forget": "a subject forgotten", "release: to sign": "a file to sign made",
  "release: published": "a release published", "rollout: begin": "a rollout begun", "rollout: next": "a rollout taken further", "rollout: grow": "a rollout taken further",
  "rollout: stop": "a rollout stopped", "rollout: hold": "a rollout paused", "rollout: resume": "a rollout resumed",
  "review: confirm": "confirmed", "review: rename": "another name given", "review: new": "enrolled as new", "review: reject": "a name rejected",
  "review: discard": "a question discarded", "review: undo": "an answer undone", "review: split": "a look made a question by itself",
};
const WHO = { local: "this machine", rollout: "by itself" };

function change(one) {
  const text = [one.who in WHO ? t(WHO[one.who]) : one.who, one.what in WHAT ? t(WHAT[one.what]) : told(one.what), one.detail].filter(Boolean).join(" · ");
  return make("li", one.what === "rollout: stop" ? "error" : "", "", make("time", "", dates.moment.format(one.time * 1000)), make("span", "", text));
}

export function begin() {
  $("draft-dry").addEventListener("click", dry);
  $("draft-sign").addEventListener("click", sign);
  $("signing-signed").addEventListener("change", signed);
  $("rollout-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const [release, group, percent] = ["release", "group", "percent"].map((name) => $(`rollout-${name}`).value);
    act("begin", { group }, t("Roll {release} out to {percent} % of {group}?", { release, percent, group }), { release, percent: Number(percent) });
  });
}
