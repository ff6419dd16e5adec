/** The whole page: which part of it is shown, what the device says of itself, and the login. */

import { $, ask, duration, fill, hooks, make } from "./common.js";
import * as device from "./device.js";
import * as history from "./history.js";
import * as live from "./live.js";
import * as people from "./people.js";
import * as review from "./review.js";
import * as settings from "./settings.js";
import * as subjects from "./subjects.js";
import * as texts from "./words.js";

const { t, plural } = texts;

const STATE_EVERY = 2000; // milliseconds between two requests for the state
const PATIENCE = 4000; // milliseconds that the device may take to answer one
const PARTS = ["live", "history", "people", "review", "settings", "device"];

hooks.login = () => {
  $("main").hidden = $("parts").hidden = true;
  if (!$("login").hidden) return;
  $("login").hidden = false;
  $("summary").textContent = t("log in first");
  live.deaf();
  $("token").focus();
};

function say(text, kind) {
  if ($("summary").textContent !== text) $("summary").textContent = text;
  document.querySelector(".brand").className = `brand ${kind}`;
}

function show(state) {
  document.title = `${state.device} · edge`;
  $("device").textContent = state.device;
  const problems = Object.entries(state.problems);
  const lost = state.cameras.filter((camera) => camera.state !== "live").length;
  const broker = live.brokerProblem(state);
  if (broker) problems.unshift(["", broker]);
  const said = [t("{n} of {all} cameras live", { n: state.cameras.length - lost, all: state.cameras.length }), t("up {time}", { time: duration(state.uptime) })];
  if (problems.length) said.unshift(plural(problems.length, "{n} problem", "{n} problems"));
  say(said.join(" · "), problems.length || lost ? "warn" : "");
  $("problems").hidden = !problems.length;
  fill($("problems"), problems.map(([part, problem]) => (part ? `${texts.told(part)}: ${texts.told(problem)}` : problem)), (text) => make("p", "", text));
  live.show(state);
  people.show(state);
  subjects.show(state);
  review.show(state.review);
}

/** Who looks, and so what is offered. The device refuses the rest as well. */
function visitor({ who = "", role = "manage" }) {
  document.body.dataset.role = role;
  const may = { look: t("You may look."), review: t("You may look and answer questions."), manage: t("You may change everything.") };
  $("role-about").textContent = `${who === "local" ? t("this machine") : who}: ${may[role] ?? role}`;
  $("logout").hidden = who === "local";
}

/** The part that the address names. */
function turn() {
  const name = location.hash.slice(1);
  const part = PARTS.includes(name) ? name : document.body.dataset.part || "live";
  if (document.body.dataset.part !== part) for (const one of document.querySelectorAll("dialog[open]")) one.close();
  document.body.dataset.part = part;
  for (const one of PARTS) {
    $(`part-${one}`).hidden = one !== part;
    const link = document.querySelector(`#parts a[href="#${one}"]`);
    if (one === part) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  people.watch();
  if (part === "review" && !$("main").hidden) review.enter();
  if ($("main").hidden) return;
  if (part === "live") live.run();
  if (part === "history") history.enter();
  if (part === "people") subjects.enter();
  if (part === "settings") settings.enter();
  if (part === "device") device.enter();
}

let looking = false;

async function look() {
  if (looking) return;
  looking = true;
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    if ($("main").hidden) {
      const said = await (await ask("page/door", { signal })).json();
      if (said.login) return hooks.login();
      visitor(said);
    }
    const answer = await ask("page/state", { signal });
    if (answer.status === 401) return;
    if (!answer.ok) return say(texts.told((await answer.json()).error), "off");
    const state = await answer.json();
    document.body.classList.remove("lost");
    const first = $("main").hidden;
    $("login").hidden = true;
    $("main").hidden = $("parts").hidden = false;
    show(state);
    if (first) turn();
    live.listen();
    live.run();
  } catch (error) {
    const unanswered = error instanceof DOMException || (error instanceof TypeError && /fetch|network|load failed/i.test(error.message));
    if (!unanswered) throw error;
    say(t("the device does not answer"), "off");
    document.body.classList.add("lost");
    live.lose();
    people.lose();
  } finally {
    looking = false;
  }
}

async function login(submitted) {
  submitted.preventDefault();
  $("login-error").textContent = "";
  const answer = await fetch("page/login", {
    method: "POST", headers: { "X-Edge-Page": "1" }, body: JSON.stringify({ token: $("token").value }),
  }).catch(() => null);
  if (!answer?.ok) {
    $("login-error").textContent = answer ? texts.told((await answer.json()).error) : t("the device does not answer");
    return;
  }
  $("token").value = "";
  $("login").hidden = true;
  look();
}

await texts.begin();
device.begin();
settings.begin();
history.begin();
people.begin();
subjects.begin();
review.begin();
$("login-form").addEventListener("submit", login);
addEventListener("hashchange", turn);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) live.deaf(true); else look();
});
setInterval(() => document.hidden || !$("login").hidden || look(), STATE_EVERY);
look();
