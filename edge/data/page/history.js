/** The history: appearances by filter, a day as a timeline per camera, and one appearance with every look. */

import { $, ask, dates, duration, fill, make, named, nearness, path, portrait, post, set, tell, words } from "./common.js";
import { plural, t } from "./words.js";

const DAY = 86400;
const PAUSE = 250; // milliseconds after a key in the search field
const PAGE = 60; // appearances of one answer
const EVERY = 5000; // milliseconds between two checks for new appearances
const STATES = { "": "everybody", known: "known", unknown: "unknown", uncertain: "uncertain", retracted: "retracted" };
let shown = []; // appearances in the list
let more = false;
let turn = 0;
let pause = 0;

const open = () => !$("part-history").hidden && !$("main").hidden;

/** Start of a day as seconds since the epoch; ``text`` as a date field has it. */
const dayOf = (text) => new Date(`${text}T00:00:00`).getTime() / 1000;
const today = () => {
  const now = new Date();
  return [now.getFullYear(), now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
};

function query() {
  const wanted = { text: $("history-text").value.trim(), camera: $("history-camera").value, label: $("history-label").value, state: $("history-state").value };
  if ($("history-subject").value) wanted.subject = $("history-subject").value;
  if ($("history-day").value) Object.assign(wanted, { since: dayOf($("history-day").value), until: dayOf($("history-day").value) + DAY });
  return new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
}

async function load(next = false) {
  const now = ++turn;
  const wanted = query();
  const last = shown.at(-1);
  if (next && last) wanted.set("before", `${last.started},${last.id}`);
  const answer = await ask(`page/history?${wanted}`).catch(() => null);
  if (now !== turn || !answer) return;
  const said = await answer.json();
  if (!answer.ok) return tell(words(said), "bad");
  const before = JSON.stringify(shown);
  shown = next ? [...shown, ...said.appearances] : said.appearances;
  more = said.more;
  choices(said.choices);
  if (!shown.length || JSON.stringify(shown) !== before) draw(said.kept);
}

function choices({ cameras, labels }) {
  for (const [field, values, all] of [["history-camera", cameras, t("every camera")], ["history-label", labels, t("every label")]]) {
    const select = $(field);
    const now = select.value;
    fill(select, ["", ...values], (value) => Object.assign(make("option", "", value ? (field === "history-label" ? t(value) : value) : all), { value }));
    if (["", ...values].includes(now)) select.value = now;
  }
}

function draw(kept) {
  const filtered = [...query().keys()].length > 0;
  const none = !kept.enabled ? t("No history is kept: history.enabled is false in the settings.") : filtered ? t("Nothing fits this filter.") : t("Nothing was seen yet.");
  const lines = [];
  let day = "";
  for (const one of shown) {
    const of = one.synced ? dates.day.format(one.started * 1000) : t("before the clock was set");
    if (of !== day) { day = of; lines.push(make("li", "history-date", "", make("h3", "", of))); }
    lines.push(line(one));
  }
  $("history-list").replaceChildren(...(lines.length ? lines : [make("li", "none", none)]));
  $("history-more").hidden = !more;
  $("history-kept").textContent = kept.enabled ? t("Kept for {days} days at most.", { days: kept.days }) + " " + (kept.pictures ? "" : t("Pictures are not kept: history.pictures is false.")) : "";
}

const nameOf = (one) => named({ ...one, pseudonym: one.state === "unknown" ? one.subject : "" });

function line(one) {
  const name = nameOf(one);
  const time = make("time", "", dates.clock.format(one.started * 1000));
  time.dateTime = new Date(one.started * 1000).toISOString();
  const stay = one.ended ? duration(Math.max(1, one.ended - one.started)) : t("now");
  const made = make("button", "appearance", "",
    portrait(one.picture ? `page/history/${one.id}/picture.jpg` : "", "", one.subject ?? ""),
    make("span", "appearance-lines", "", make("b", `who ${one.state}`, name), make("small", "", [one.camera, ...one.zones].join(", "))),
    make("span", "appearance-when", "", time, make("small", "", stay)));
  made.type = "button";
  set(made, { "aria-label": `${name}, ${one.camera}, ${dates.full.format(one.started * 1000)}` });
  made.addEventListener("click", () => detail(one.id));
  return make("li", "", "", made);
}

/* ---- one appearance ---- */

async function detail(id) {
  const answer = await ask(path("history", String(id))).catch(() => null);
  const one = await answer?.json();
  if (!answer?.ok) return tell(one ? words(one) : t("the device did not answer"), "bad");
  $("appearance-title").textContent = nameOf(one);
  const facts = [
    [t("Camera"), one.camera], [t("Zones"), one.zones.join(", ")], [t("Label"), [t(one.label), ...one.custom_labels].join(", ")],
    [t("Arrived"), dates.full.format(one.started * 1000)], [t("Left"), one.ended ? dates.full.format(one.ended * 1000) : t("still there, or the device was stopped")],
    [t("Clock"), one.synced ? "" : t("not set then: the time may be wrong")],
    [t("Likeness"), one.likeness === null ? "" : t("{n} of 100", { n: Math.round(one.likeness) })],
  ].filter(([, value]) => value);
  $("appearance-facts").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", "", name), make("dd", "", value)]));
  $("appearance-picture").replaceChildren(...(one.picture ? [portrait(`page/history/${one.id}/picture.jpg`, nameOf(one), one.subject ?? "")] : []));
  $("appearance-why").textContent = whyOf(one);
  $("appearance-looks").replaceChildren(...one.looks.map((look) => lookLine(look)));
  $("appearance-looks-title").hidden = !one.looks.length;
  $("appearance-delete").onclick = () => remove(one.id);
  $("appearance-dialog").showModal();
}

function whyOf(one) {
  const votes = one.looks.filter((look) => look.likeness !== null && look.likeness >= look.needed);
  const n = votes.length;
  const all = one.looks.length;
  if (!all) return t("No face was embedded: it was too small, blurred or turned away, or this label is not recognized.");
  if (one.state === "known") return t("{n} of {all} looks reached the match line and agreed on {name}.", { n, all, name: one.subject });
  if (one.state === "retracted") return t("It was named first; later looks disproved the name.");
  if (one.state === "uncertain") return t("{n} of {all} looks reached the match line, but they did not agree, or two subjects were almost equally near.", { n, all });
  return n ? t("{n} of {all} looks reached the match line: too few for a name.", { n, all }) : t("No look of {all} reached the match line: nobody enrolled is like enough.", { all });
}

function lookLine(look) {
  const told = look.likeness === null ? t("nobody to compare with")
    : look.likeness >= look.needed ? t("a vote for {name}", { name: look.subject ?? t("an erased subject") }) : t("below the match line");
  const bar = look.likeness === null ? "" : nearness(look.likeness, look.needed);
  const second = look.runner_up === null ? "" : t("second nearest {n}", { n: Math.round(look.runner_up) });
  const lines = make("span", "", "", make("b", "", look.subject ?? "–"), make("small", "", [told, second, t("quality {n} %", { n: Math.round(100 * look.quality) })].filter(Boolean).join(" · ")));
  return make("li", "history-look", "", make("time", "", `+${look.offset.toFixed(1)} s`), lines, bar, make("small", "", look.likeness === null ? "" : String(Math.round(look.likeness))));
}

async function remove(id) {
  const said = await post(path("history", String(id), "delete"));
  $("appearance-dialog").close();
  if (said.status === 404) load();
  if (!said.ok) return tell(words(said), "bad");
  tell(t("deleted from the history"));
  load();
}

/* ---- a day ---- */

async function timeline() {
  const day = $("history-day").value || today();
  const answer = await ask(`page/history/timeline?since=${dayOf(day)}`).catch(() => null);
  if (!answer?.ok) return;
  const said = await answer.json();
  const cameras = Map.groupBy ? Map.groupBy(said.parts, (part) => part.camera) : grouped(said.parts);
  const strips = [...cameras].map(([camera, parts]) => strip(camera, parts, said));
  $("timeline-title").textContent = t("Timeline of {day}", { day: dates.day.format(said.since * 1000) });
  $("timeline").replaceChildren(...(strips.length ? [...strips, scale()] : [make("p", "none", t("Nothing was seen on this day."))]));
}

function grouped(parts) {
  const found = new Map();
  for (const part of parts) found.set(part.camera, [...(found.get(part.camera) ?? []), part]);
  return found;
}

function strip(camera, parts, { bins }) {
  const bar = make("div", "strip-bar");
  for (const part of parts) {
    const mark = make("i", part.known ? "known" : "");
    mark.style.left = `${(100 * part.part) / bins}%`;
    mark.style.width = `${100 / bins}%`;
    mark.style.opacity = String(0.45 + Math.min(0.55, part.count / 20));
    bar.append(mark);
  }
  const n = parts.reduce((sum, part) => sum + part.count, 0);
  set(bar, { role: "img", "aria-label": t("{camera}: {n} appearances", { camera, n }) });
  return make("div", "strip", "", make("b", "", camera), bar, make("small", "", plural(n, "{n} appearance", "{n} appearances")));
}

function scale() {
  return set(make("div", "strip scale", "", make("b"), make("div", "strip-hours", "", ...[0, 6, 12, 18, 24].map((hour) => make("span", "", `${hour}`))), make("small")), { "aria-hidden": "true" });
}

/* ---- all of it ---- */

function again() {
  $("history-person").hidden = !$("history-subject").value;
  $("history-person-name").textContent = $("history-subject").value;
  load();
  timeline();
}

/** Show the appearances of one subject. */
export function of(subject) {
  $("history-subject").value = subject;
  location.hash = "history";
  if (open()) again();
}

export function enter() {
  again();
}

export function begin() {
  fill($("history-state"), Object.entries(STATES), ([value, text]) => Object.assign(make("option", "", t(text)), { value }));
  $("history-day").max = today();
  for (const field of ["history-camera", "history-label", "history-state", "history-day"]) $(field).addEventListener("change", again);
  $("history-text").addEventListener("input", () => { clearTimeout(pause); pause = setTimeout(load, PAUSE); });
  $("history-more").addEventListener("click", () => load(true));
  $("history-person-all").addEventListener("click", () => { $("history-subject").value = ""; again(); });
  setInterval(() => { if (open() && !document.hidden && shown.length <= PAGE && !document.querySelector("dialog[open]")) load(); }, EVERY);
  $("history-filter").addEventListener("submit", (event) => event.preventDefault());
}
