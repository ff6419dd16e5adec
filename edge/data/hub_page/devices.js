/** Devices of the fleet: a list of any length, searched and filtered here, and one device with what it reports. */

import { $, ask, dates, duration, fill, make, path, tell, words } from "./common.js";
import { Rows } from "./rows.js";
import { plural, t, told } from "./words.js";

const PHONE = matchMedia("(max-width: 40rem)");
const HEIGHTS = [48, 60]; // pixels of a row, as the style sheet has them: desktop, phone
const NEVER = -1;
let fleet = new Map(); // name -> device
let shown = [];
let current = 0;
let rows;
let started = "";
let revision = 0;
let asking = false;

const TROUBLES = {
  offline: () => t("offline"), update: () => t("update failed"), camera: () => t("camera not live"), lost: () => t("events lost"), hot: () => t("hot or throttled"),
};
const HEALTHS = {
  "": () => t("all"), troubled: () => t("with a problem"), ...TROUBLES, updating: () => t("updating"),
};
const ORDERS = {
  device: { text: () => t("name"), key: (one) => one.device },
  troubles: { text: () => t("problems first"), key: (one) => -one.troubles.length },
  backlog: { text: () => t("backlog"), key: (one) => -(one.backlog ?? NEVER) },
  temperature: { text: () => t("temperature"), key: (one) => -(one.temperature ?? NEVER) },
  last: { text: () => t("last event"), key: (one) => one.last_event ?? NEVER },
};
const STILL = ["", "idle", "committed", "failed", "rolled_back"];

export function enter() {
  load();
}

export const tick = () => load();

async function load() {
  if (asking) return;
  asking = true;
  const answer = await ask(`page/devices?${new URLSearchParams({ started, since: revision })}`).catch(() => null);
  asking = false;
  if (!answer?.ok) return;
  const said = await answer.json();
  if (said.all) fleet = new Map();
  for (const row of said.devices) {
    const one = Object.fromEntries(said.columns.map((name, index) => [name, row[index]]));
    fleet.set(one.device, one);
  }
  ({ started, revision } = said);
  choices("devices-release", "release");
  choices("devices-version", "version");
  if (said.devices.length || said.all) show();
}

/** What can be chosen: every value that a device has. */
function choices(id, field) {
  const values = [...new Set([...fleet.values()].map((one) => one[field]))].filter(Boolean).sort();
  const kept = $(id).value;
  fill($(id), ["", ...values], (value) => Object.assign(make("option", "", value || t("all")), { value }));
  $(id).value = values.includes(kept) ? kept : "";
}

const has = (one, health) => (health === "troubled" ? one.troubles.length > 0 : health === "updating" ? !STILL.includes(one.phase) : one.troubles.includes(health));

function show() {
  const like = $("devices-search").value.trim().toLowerCase();
  const [health, release, version] = ["health", "release", "version"].map((name) => $(`devices-${name}`).value);
  const { key } = ORDERS[$("devices-order").value];
  const pointed = shown[current]?.device;
  shown = [...fleet.values()].filter((one) => (!like || one.device.toLowerCase().includes(like)) && (!health || has(one, health))
    && (!release || one.release === release) && (!version || one.version === version));
  const keys = new Map(shown.map((one) => [one, key(one)]));
  const compare = new Intl.Collator(undefined, { numeric: true }).compare;
  shown.sort((one, other) => (typeof keys.get(one) === "number" ? keys.get(one) - keys.get(other) : 0) || compare(one.device, other.device));
  current = Math.max(0, shown.findIndex((one) => one.device === pointed));
  const n = shown.length.toLocaleString();
  $("devices-count").textContent = shown.length === fleet.size ? plural(fleet.size, "{n} device", "{n} devices") : t("{n} of {all} devices", { n, all: fleet.size.toLocaleString() });
  $("devices-list").hidden = $("devices-heads").hidden = !shown.length;
  $("devices-none").hidden = shown.length > 0;
  $("devices-none").textContent = fleet.size ? t("No device is like this.") : t("No device has reported yet.");
  rows.show(shown, current);
  performance.mark("devices shown");
}

/** Health in words: the first problem, and how many more. */
function health(one) {
  const [first, ...more] = one.troubles;
  if (!first) return one.online === null ? ["warn", t("never connected")] : ["", STILL.includes(one.phase) ? t("well") : t("updating")];
  return [first === "hot" ? "warn" : "bad", `${TROUBLES[first]()}${more.length ? ` +${more.length}` : ""}`];
}

const ago = (moment) => (moment ? t("{time} ago", { time: duration(Math.max(0, Date.now() / 1000 - moment)) }) : t("never"));
const degrees = (value) => (value === null ? "–" : `${Math.round(value)} °C`);

function paint(row, one) {
  const [kind, text] = health(one);
  row.replaceChildren(
    make("b", "", one.device), make("span", `health ${kind}`, text), make("span", "", one.release || "–"), make("span", "", one.version || "–"),
    make("span", "", one.backlog === null ? "–" : one.backlog.toLocaleString()), make("span", "", degrees(one.temperature)), make("span", "", ago(one.last_event)),
  );
}

async function detail(name) {
  const answer = await ask(path("devices", name)).catch(() => null);
  const one = await answer?.json();
  if (!answer?.ok) return tell(one ? words(one) : t("the hub did not answer"), "bad");
  const { info = {}, stats = {} } = one.documents;
  $("device-title").textContent = one.device;
  $("device-troubles").replaceChildren(...one.troubles.map((trouble) => make("li", "finding error", "", make("b", "", TROUBLES[trouble]()), ...(trouble === "update" && one.problem ? [make("span", "", told(one.problem))] : []))));
  const facts = [
    [t("Hardware"), info.hardware], [t("Version"), one.version], [t("Release"), one.release], [t("Group"), one.group],
    [t("Update"), [one.phase, one.desired].filter(Boolean).join(" ")], [t("Cameras"), Object.entries(one.cameras).map(([camera, state]) => `${camera} ${state}`).join(", ")],
    [t("Backlog"), one.backlog?.toLocaleString()], [t("Events lost"), one.lost?.toLocaleString()], [t("Temperature"), one.temperature === null ? "" : degrees(one.temperature)],
    [t("Memory"), stats.memory_mb ? `${Math.round(stats.memory_mb)} MB` : ""], [t("Last event"), one.last_event ? dates.full.format(one.last_event * 1000) : t("never")],
    [t("Last heard"), one.heard ? dates.full.format(one.heard * 1000) : t("never")],
  ].filter(([, value]) => value);
  $("device-facts").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", "", name), make("dd", "", value)]));
  $("device-dialog").showModal();
}

/* ---- keys ---- */

const MOVES = {
  ArrowDown: () => current + 1, ArrowUp: () => current - 1, PageDown: () => current + rows.page, PageUp: () => current - rows.page, Home: () => 0, End: () => shown.length - 1,
};

function key(pressed) {
  if (pressed.key === "Enter" && shown[current]) { pressed.preventDefault(); return detail(shown[current].device); }
  const move = MOVES[pressed.key];
  if (!move || pressed.ctrlKey || pressed.altKey || pressed.metaKey) return;
  pressed.preventDefault();
  current = Math.min(shown.length - 1, Math.max(0, move()));
  rows.current = current;
  rows.reveal();
  rows.soon();
}

export function begin() {
  const option = ([value, text]) => Object.assign(make("option", "", text()), { value });
  $("devices-health").replaceChildren(...Object.entries(HEALTHS).map(option));
  $("devices-order").replaceChildren(...Object.entries(ORDERS).map(([value, { text }]) => option([value, text])));
  const heads = [t("Device"), t("Health"), t("Release"), t("Version"), t("Backlog"), t("Temperature"), t("Last event")];
  $("devices-heads").replaceChildren(...heads.map((text) => make("span", "", text)));
  rows = new Rows($("devices-list"), HEIGHTS[Number(PHONE.matches)], paint);
  PHONE.addEventListener("change", () => { rows.height = HEIGHTS[Number(PHONE.matches)]; show(); });
  $("devices-list").addEventListener("keydown", key);
  $("devices-list").addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (!row) return;
    current = rows.current = shown.indexOf(row.thing);
    rows.soon();
    detail(row.thing.device);
  });
  $("devices-filter").addEventListener("input", () => { $("devices-list").scrollTop = 0; show(); });
  $("devices-filter").addEventListener("submit", (event) => event.preventDefault());
  $("device-events").addEventListener("click", () => {
    const device = $("device-title").textContent;
    $("device-dialog").close();
    location.hash = `#events?${new URLSearchParams({ device })}`;
  });
}
