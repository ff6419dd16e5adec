/** Events of the fleet, the newest first, by device, label, subject and day. */

import { $, ask, dates, make, named, tell, words } from "./common.js";
import { plural, t } from "./words.js";

const FIELDS = ["device", "label", "subject"];
const DAY = 86400;
let next = "";
let count = 0;
let turn = 0;

export function enter(query) {
  for (const name of FIELDS) if (query.has(name)) $(`events-${name}`).value = query.get(name);
  load();
}

export function tick() {}

const TYPES = { new: () => t("new"), update: () => t("seen better"), end: () => t("gone") };

function wanted() {
  const query = new URLSearchParams(FIELDS.map((name) => [name, $(`events-${name}`).value.trim()]).filter(([, value]) => value));
  if ($("events-day").value) {
    const since = new Date(`${$("events-day").value}T00:00`).getTime() / 1000;
    query.set("since", since);
    query.set("until", since + DAY);
  }
  return query;
}

async function load(more = false) {
  const now = ++turn;
  const query = wanted();
  if (more) query.set("after", next);
  const answer = await ask(`page/events?${query}`).catch(() => null);
  const said = await answer?.json();
  if (now !== turn) return;
  if (!answer?.ok) return tell(said ? words(said) : t("the hub did not answer"), "bad");
  next = said.next;
  count = (more ? count : 0) + said.events.length;
  const made = said.events.map(line);
  if (more) $("events-list").append(...made); else $("events-list").replaceChildren(...(made.length ? made : [make("li", "none", t("No such event is stored."))]));
  $("events-more").hidden = !next;
  $("events-count").textContent = next ? t("the newest {n}", { n: count.toLocaleString() }) : plural(count, "{n} event", "{n} events");
}

function line(one) {
  const likeness = one.similarity === null ? "" : one.similarity.toFixed(2);
  return make("li", "", "", make("time", "", dates.full.format(one.time * 1000)), make("b", `who ${one.state}`, named(one)), make("span", "", (TYPES[one.type] ?? (() => one.type))()),
    make("span", "", `${one.device} · ${one.camera}`), make("small", "", likeness));
}

export function begin() {
  $("events-filter").addEventListener("submit", (event) => { event.preventDefault(); load(); });
  $("events-filter").addEventListener("change", () => load());
  $("events-more").addEventListener("click", () => load(true));
}
