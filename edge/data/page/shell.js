/** The shell of a page: its parts, the login, the state that is asked for again and again, theme and language. */

import { $, ask, hooks, make, post, set } from "./common.js";
import * as focus from "./focus.js";
import * as texts from "./words.js";

const { t } = texts;
const THEME = "edge.theme";

/**
 * A page of several parts, one of them shown.
 *
 * ``parts``: name -> ``{enter(query), tick()}``, the first one is shown first; ``tick`` after each state.
 * ``every``, ``patience``: milliseconds between two requests for the state, and that an answer may take.
 * ``silent``: what is said where none comes; ``hint``: what the token is.
 * ``show(state)``, ``turned()`` after another part is shown, ``lost()`` without an answer, ``left()`` before a login.
 */
export class Shell {
  constructor({ parts, every, patience, silent, hint, show, turned = () => {}, lost = () => {}, left = () => {} }) {
    Object.assign(this, { parts, every, patience, silent, hint, show, turned, lost, left });
    this.looking = false;
  }

  /** Draw what every page has, and start asking for the state. */
  begin() {
    hooks.login = () => this.askLogin();
    document.body.append(loginForm(this.hint), set(make("p", "toast"), { id: "toast", role: "status", "aria-live": "polite" }));
    browserCard($("browser"));
    focus.begin();
    $("login-form").addEventListener("submit", (event) => this.login(event));
    for (const close of document.querySelectorAll("dialog .close")) close.addEventListener("click", () => close.closest("dialog").close());
    document.addEventListener("close", () => document.body.append($("toast")), { capture: true });
    addEventListener("hashchange", () => this.turn());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.look(); });
    setInterval(() => document.hidden || !$("login").hidden || this.look(), this.every);
    this.look();
  }

  /** What the page says of itself beside its name; ``kind``: "", "warn" or "off". */
  say(text, kind = "") {
    if ($("summary").textContent !== text) $("summary").textContent = text;
    document.querySelector(".brand").className = `brand ${kind}`;
  }

  /** The part that the address names: ``#events?device=porch`` has values for its filter. */
  turn() {
    const [name, query] = location.hash.slice(1).split("?");
    const part = name in this.parts ? name : document.body.dataset.part || Object.keys(this.parts)[0];
    if (document.body.dataset.part !== part) for (const one of document.querySelectorAll("dialog[open]")) one.close();
    document.body.dataset.part = part;
    for (const one of Object.keys(this.parts)) {
      $(`part-${one}`).hidden = one !== part;
      const link = document.querySelector(`#parts a[href="#${one}"]`);
      if (one === part) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
    }
    this.turned();
    if (!$("main").hidden) this.parts[part].enter(new URLSearchParams(query));
  }

  /** Ask for the state once. */
  async look() {
    if (this.looking) return;
    this.looking = true;
    try {
      await this.update(AbortSignal.timeout(this.patience));
    } catch (error) {
      const unanswered = error instanceof DOMException || (error instanceof TypeError && /fetch|network|load failed/i.test(error.message));
      if (!unanswered) throw error;
      this.say(this.silent, "off");
      document.body.classList.add("lost");
      this.lost();
    } finally {
      this.looking = false;
    }
  }

  async update(signal) {
    const first = $("main").hidden;
    if (first) {
      const said = await (await ask("page/door", { signal })).json();
      if (said.login) return this.askLogin();
      visitor(said);
    }
    const answer = await ask("page/state", { signal });
    if (answer.status === 401) return;
    const said = await answer.json();
    if (!answer.ok) return this.say(texts.told(said.error), "off");
    document.body.classList.remove("lost");
    $("login").hidden = true;
    $("main").hidden = $("parts").hidden = false;
    this.show(said);
    if (first) this.turn(); else this.parts[document.body.dataset.part].tick?.();
    if (first && document.activeElement === document.body && this.entered) $("main").focus();
  }

  askLogin() {
    $("main").hidden = $("parts").hidden = true;
    if (!$("login").hidden) return;
    $("login").hidden = false;
    this.say(t("log in first"));
    this.left();
    $("token").focus();
  }

  async login(submitted) {
    submitted.preventDefault();
    $("login-error").textContent = "";
    const said = await post("page/login", { token: $("token").value });
    if (!said.ok) { $("login-error").textContent = said.error; return; }
    $("token").value = "";
    $("login").hidden = this.entered = true;
    this.look();
  }
}

/** Who looks, and so what is offered. The server refuses the rest as well. */
function visitor({ who = "", role = "manage" }) {
  document.body.dataset.role = role;
  const may = { look: t("You may look."), review: t("You may look and answer questions."), manage: t("You may change everything.") };
  $("role-about").textContent = `${who === "local" ? t("this machine") : who}: ${may[role] ?? role}`;
  $("logout").hidden = who === "local";
}

function field(text, control, id, attributes = {}) {
  return set(make("label", "", `${text} `, set(control, { id, ...attributes })), { for: id });
}

function loginForm(hint) {
  const token = field(t("Token"), make("input"), "token", { type: "password", required: "", autocomplete: "current-password" });
  const send = set(make("button", "", t("Log in")), { type: "submit" });
  const error = set(make("p", "error"), { id: "login-error", role: "alert" });
  const form = set(make("form", "card", "", make("h2", "", t("Log in")), token, send, error, make("p", "hint", hint)), { id: "login-form" });
  return Object.assign(make("main", "login", "", form), { id: "login", hidden: true });
}

/* ---- theme and language: of this browser ---- */

function paintTheme() {
  const wanted = localStorage.getItem(THEME) ?? "";
  if (wanted) document.documentElement.dataset.theme = wanted; else delete document.documentElement.dataset.theme;
  $("theme").value = wanted;
}

const choice = (value, text) => Object.assign(make("option", "", text), { value });

/** The card about this browser, in an empty section. */
function browserCard(section) {
  const language = field(t("Language"), make("select"), "language");
  const theme = field(t("Theme"), make("select"), "theme");
  const out = Object.assign(make("button", "plain", t("Log out")), { id: "logout", type: "button", hidden: true });
  section.append(set(make("h2", "", t("This browser")), { id: "browser-title" }), make("div", "fields", "", language, theme, out), set(make("p", "hint"), { id: "role-about" }));
  set(section, { "aria-labelledby": "browser-title" });
  $("language").append(...Object.entries(texts.LANGUAGES).map(([code, name]) => set(choice(code, name), { lang: code })));
  $("language").value = texts.language();
  $("language").addEventListener("change", () => texts.choose($("language").value));
  $("theme").append(choice("", t("as the system")), choice("light", t("light")), choice("dark", t("dark")));
  $("theme").addEventListener("change", () => {
    if ($("theme").value) localStorage.setItem(THEME, $("theme").value); else localStorage.removeItem(THEME);
    paintTheme();
  });
  out.addEventListener("click", async () => { await post("page/logout"); location.reload(); });
  paintTheme();
}
