/** The device: broker, release, findings of the doctor, log, restart, update, rollback, who changed what. */

import { $, ask, button, dates, make, path, post, tell, words, working } from "./common.js";
import { confirmed } from "./dialogs.js";
import { t, told } from "./words.js";

const LOG_EVERY = 5000;
let timer = 0;

export function enter() {
  log();
  changes();
  clearInterval(timer);
  timer = setInterval(() => ($("part-device").hidden || document.hidden ? null : log()), LOG_EVERY);
}

async function log() {
  if (document.body.dataset.role !== "manage") return;
  const answer = await ask("page/device/log").catch(() => null);
  if (!answer?.ok) return;
  const { lines } = await answer.json();
  const key = `${lines.length} ${lines.at(-1)?.time}`;
  if ($("device-log").dataset.key === key) return;
  $("device-log").dataset.key = key;
  const shown = lines.slice().reverse().map(({ time, level, text }) => make("li", level, "", make("time", "", dates.clock.format(time * 1000)), make("span", "", text)));
  $("device-log").replaceChildren(...(shown.length ? shown : [make("li", "none", t("No lines since the start."))]));
}

const WHAT = {
  settings: "settings changed", "settings: undo": "the last change of the settings undone", enroll: "enrolled", rename: "renamed",
  "delete-face": "a face deleted", erase: "a subject erased", "name a stranger": "a stranger named", restart: "restarted",
  update: "updated to the newest release", rollback: "rolled back", "history: deleted": "an appearance deleted",
  "history: deleted all": "the history deleted", "review: confirm": "confirmed", "review: rename": "another name given",
  "review: new": "enrolled as new", "review: reject": "a name rejected", "review: discard": "a question discarded",
  "review: undo": "an answer undone", "review: split": "a look made a question by itself", "review: boxes": "boxes corrected",
  "review: deleted all": "all questions deleted",
};

/** A change in words; ``settings: mqtt, log`` names the sections as well. */
function whatOf(what) {
  if (what in WHAT) return t(WHAT[what]);
  const [head, more] = what.split(": ");
  return more && head in WHAT ? `${t(WHAT[head])}: ${more}` : what;
}

async function changes() {
  const answer = await ask("page/history/changes").catch(() => null);
  if (!answer?.ok) return;
  const said = await answer.json();
  const lines = said.changes.map((one) => make("li", "", "", make("time", "", dates.moment.format(one.time * 1000)), make("span", "", [one.who === "local" ? t("this machine") : one.who, whatOf(one.what), one.subject].filter(Boolean).join(" · "))));
  $("device-changes").replaceChildren(...(lines.length ? lines : [make("li", "none", t("Nothing was changed here yet."))]));
}

async function doctor() {
  $("doctor-state").textContent = t("checking: this takes up to a minute");
  const said = await working($("doctor-run"), () => post("page/device/doctor"));
  $("doctor-state").textContent = "";
  if (!said.ok) return tell(words(said), "bad");
  const bad = said.findings.filter((one) => one.level !== "ok");
  $("doctor-state").textContent = bad.length ? "" : t("Everything is well.");
  $("doctor-findings").replaceChildren(...bad.map(({ level, part, what, why, try: hint }) => make("li", `finding ${level}`, "",
    make("b", "", `${told(part.replaceAll("_", " "))}: ${told(what)}`), ...(why ? [make("span", "", told(why))] : []),
    ...(hint ? [make("small", "", t("Try: {hint}", { hint: told(hint) }))] : []))));
}

async function act(action, text, question) {
  if (!await confirmed(question, text)) return;
  tell(t("working"));
  const said = await post(path("device", action));
  if (!said.ok) return tell(words(said), "bad");
  tell(told(said.text) || t("done"));
  changes();
}

export function begin() {
  $("doctor-run").addEventListener("click", doctor);
  const actions = [
    ["restart", t("Restart"), t("Restart the daemon? The cameras stop for some seconds.")],
    ["update", t("Update now"), t("Fetch and install the newest release now?")],
    ["rollback", t("Roll back"), t("Go back to the release before this one?")],
  ];
  $("device-actions").replaceChildren(...actions.map(([action, text, sure]) => button(text, "", () => act(action, text, sure), "plain")));
}
