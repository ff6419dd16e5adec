/** What all views use: elements, requests, words. */

import { language, plural, t, told } from "./words.js";

export const $ = (id) => document.getElementById(id);
export const hooks = { login() {}, unanswered: "the device did not answer" }; // what happens where a login is asked for, and what is said of silence

/** An element with a class and text; text never becomes markup. */
export function make(tag, name = "", text = "", ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}

/** Attributes of an element, which comes back. */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

export function button(text, key, does, kind = "") {
  const made = make("button", kind, text);
  made.type = "button";
  if (key) made.append(set(make("kbd", "", key), { "aria-hidden": "true" }));
  made.addEventListener("click", does);
  return made;
}

/** Do something that takes a while; its button keeps the focus, and takes no second press meanwhile. */
export async function working(element, work) {
  element.setAttribute("aria-disabled", "true");
  try { return await work(); } finally { element.removeAttribute("aria-disabled"); }
}

export async function ask(address, options = {}) {
  const answer = await fetch(address, { credentials: "same-origin", ...options });
  if (answer.status === 401) hooks.login();
  return answer;
}

/** Send something that changes something: the answer's document, with ``ok`` and never an exception. */
export async function post(address, body) {
  const plain = body instanceof Blob || body === undefined;
  const options = {
    method: "POST",
    headers: { "X-Edge-Page": "1", "Content-Type": plain ? "application/octet-stream" : "application/json" },
    body: plain ? body : JSON.stringify(body),
  };
  try {
    const answer = await ask(address, options);
    const said = await answer.json();
    if (said.error) Object.assign(said, { error: told(said.error), try: told(said.try) });
    return { ok: answer.ok, status: answer.status, ...said };
  } catch {
    return { ok: false, status: 0, error: t(hooks.unanswered), try: t("check that it is on, and try again") };
  }
}

export const path = (...parts) => `page/${parts.map(encodeURIComponent).join("/")}`;

/** An error with what to try. */
export const words = (said) => (said.try ? `${told(said.error)}: ${told(said.try)}` : told(said.error));

/** Children anew, but only where what they say has changed: screen readers and selections stay undisturbed. */
export function fill(parent, things, build) {
  const key = JSON.stringify(things);
  if (parent.dataset.key === key) return;
  parent.dataset.key = key;
  parent.replaceChildren(...things.map(build));
}

/** Who or what something is, in words: the name, or the pseudonym of a stranger who came again; custom labels after it. */
export function named({ label, state, subject, pseudonym, custom_labels: custom = [] }) {
  const kind = t(label);
  const who = {
    known: subject, uncertain: `${subject || kind}?`, unknown: pseudonym || t("unknown {label}", { label: kind }),
    pending: t("{label}, not yet identified", { label: kind }), retracted: t("{label}, name withdrawn", { label: kind }),
  }[state] ?? kind;
  return [who, ...custom.map((one) => one.name ?? one)].join(" · ");
}

export const count = (number, one, many) => plural(number, one, many);
export const faces = (number) => plural(number, "{n} face", "{n} faces");

export function duration(seconds) {
  const units = [[86400, "{n} d"], [3600, "{n} h"], [60, "{n} min"], [1, "{n} s"]];
  const [size, text] = units.find(([size]) => seconds >= size) || [1, "{n} s"];
  return t(text, { n: Math.floor(seconds / size) });
}

/** A face: its picture where there is one, else the letters of its name and what is missing. */
export function portrait(source, alt, name, missing = "") {
  const frame = make("span", "portrait");
  const blank = () => {
    frame.classList.add("blank");
    frame.replaceChildren(make("b", "", initials(name)), ...(missing ? [make("small", "", missing)] : []));
    set(frame.firstChild, { "aria-hidden": "true" });
  };
  if (!source) { blank(); return frame; }
  const picture = make("img");
  picture.alt = alt;
  picture.addEventListener("error", blank);
  picture.src = source;
  frame.append(picture);
  return frame;
}

const initials = (name) => (name ? [...name.matchAll(/(?:^|[\s._-])(\S)/gu)].map(([, letter]) => letter).join("").slice(0, 2) : "?").toUpperCase();

/** A likeness of 0 to 100 as a bar, with a line where a match begins. */
export function nearness(likeness, match) {
  const line = match ?? null;
  const bar = make("span", `nearness ${line !== null && likeness >= line ? "match" : ""}`);
  const filled = make("i");
  filled.style.width = `${Math.min(100, Math.max(0, likeness))}%`;
  bar.append(filled);
  if (line !== null) {
    const mark = make("u");
    mark.style.left = `${line}%`;
    bar.append(mark);
  }
  const label = line === null ? t("likeness {n} of 100", { n: Math.round(likeness) })
    : t("likeness {n} of 100; a match from {line}", { n: Math.round(likeness), line: Math.round(line) });
  return set(bar, { role: "img", "aria-label": label });
}

/** Date and time, day, and time of day, as the reader writes them. */
export const dates = {
  moment: new Intl.DateTimeFormat(language(), { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false }),
  full: new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeStyle: "medium", hour12: false }),
  day: new Intl.DateTimeFormat(language(), { weekday: "long", day: "numeric", month: "long", year: "numeric" }),
  clock: new Intl.DateTimeFormat(language(), { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false }),
};

let quiet = 0;

/** Say something for a moment, to eyes and to screen readers. */
export function tell(text, kind = "") {
  const line = $("toast");
  // what is outside of an open dialog is neither above it nor read out
  const place = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  if (line.parentElement !== place) place.append(line);
  line.className = `toast ${kind}`;
  line.textContent = text;
  clearTimeout(quiet);
  quiet = setTimeout(() => { line.textContent = ""; }, kind === "bad" ? 9000 : 4000);
}
