/** The page of the fleet: which part is shown, what the hub says of itself, the login, and this browser. */

import { $, ask, hooks, make, post } from "./common.js";
import * as devices from "./devices.js";
import * as events from "./events.js";
import * as people from "./people.js";
import * as releases from "./releases.js";
import * as texts from "./words.js";

const { t } = texts;

const STATE_EVERY = 5000; // milliseconds between two requests for the state
const PATIENCE = 10000; // milliseconds that the hub may take to answer one
const PARTS = { devices, events, people, releases };
const THEME = "edge.theme";

hooks.unanswered = "the hub did not answer";
hooks.login = () => {
  $("main").hidden = $("parts").hidden = true;
  if (!$("login").hidden) return;
  $("login").hidden = false;
  $("summary").textContent = t("log in first");
  $("token").focus();
};

function say(text, kind) {
  if ($("summary").textContent !== text) $("summary").textContent = text;
  document.querySelector(".brand").className = `brand ${kind}`;
}

function show(state) {
  document.title = `${state.name} · edge hub`;
  $("hub").textContent = state.name;
  const parts = [t("{n} of {all} devices online", { n: state.online.toLocaleString(), all: state.devices.toLocaleString() })];
  if (state.troubled) parts.unshift(texts.plural(state.troubled, "{n} device with a problem", "{n} devices with problems"));
  say(parts.join(" · "), state.troubled ? "warn" : "");
}

/** Who looks, and so what is offered. The hub refuses the rest as well. */
function visitor({ who = "", role = "manage" }) {
  document.body.dataset.role = role;
  const may = { look: t("You may look."), review: t("You may look and answer questions."), manage: t("You may change everything.") };
  $("role-about").textContent = `${who === "local" ? t("this machine") : who}: ${may[role] ?? role}`;
  $("logout").hidden = who === "local";
}

/** The part that the address names: ``#events?device=porch`` has values for its filter. */
function turn() {
  const [name, query] = location.hash.slice(1).split("?");
  const part = name in PARTS ? name : document.body.dataset.part || "devices";
  if (document.body.dataset.part !== part) for (const one of document.querySelectorAll("dialog[open]")) one.close();
  document.body.dataset.part = part;
  for (const one of Object.keys(PARTS)) {
    $(`part-${one}`).hidden = one !== part;
    const link = document.querySelector(`#parts a[href="#${one}"]`);
    if (one === part) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  if (!$("main").hidden) PARTS[part].enter(new URLSearchParams(query));
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
      $("login").hidden = true;
      $("main").hidden = $("parts").hidden = false;
      turn();
    } else {
      PARTS[document.body.dataset.part].tick();
    }
    const answer = await ask("page/state", { signal });
    if (answer.status === 401) return;
    const said = await answer.json();
    if (!answer.ok) return say(texts.told(said.error), "off");
    document.body.classList.remove("lost");
    show(said);
  } catch (error) {
    const unanswered = error instanceof DOMException || (error instanceof TypeError && /fetch|network|load failed/i.test(error.message));
    if (!unanswered) throw error;
    say(t("the hub did not answer"), "off");
    document.body.classList.add("lost");
  } finally {
    looking = false;
  }
}

async function login(submitted) {
  submitted.preventDefault();
  $("login-error").textContent = "";
  const said = await post("page/login", { token: $("token").value });
  if (!said.ok) { $("login-error").textContent = said.error; return; }
  $("token").value = "";
  look();
}

/* ---- theme and language: of this browser ---- */

function paintTheme() {
  const wanted = localStorage.getItem(THEME) ?? "";
  if (wanted) document.documentElement.dataset.theme = wanted; else delete document.documentElement.dataset.theme;
  $("theme").value = wanted;
}

function begin() {
  $("language").replaceChildren(...Object.entries(texts.LANGUAGES).map(([code, name]) => Object.assign(make("option", "", name), { value: code, lang: code })));
  $("language").value = texts.language();
  $("language").addEventListener("change", () => texts.choose($("language").value));
  $("theme").addEventListener("change", () => {
    if ($("theme").value) localStorage.setItem(THEME, $("theme").value); else localStorage.removeItem(THEME);
    paintTheme();
  });
  $("logout").addEventListener("click", async () => { await post("page/logout"); location.reload(); });
  for (const close of document.querySelectorAll("dialog .close")) close.addEventListener("click", () => close.closest("dialog").close());
  paintTheme();
}

await texts.begin();
begin();
for (const part of Object.values(PARTS)) part.begin();
$("login-form").addEventListener("submit", login);
addEventListener("hashchange", turn);
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
setInterval(() => document.hidden || !$("login").hidden || look(), STATE_EVERY);
look();
