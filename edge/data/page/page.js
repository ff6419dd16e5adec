"use strict";

const STATE_EVERY = 2000; // milliseconds between two looks at the state
const MOST_EVENTS = 200; // lines in the list: older ones go
const $ = (id) => document.getElementById(id);
const views = new Map(); // camera -> its view
let feed = null;
let pictures = 5; // a second

/** An element with a class and text; text never becomes markup. */
function make(tag, name = "", text = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text) element.textContent = text;
  return element;
}

async function ask(address, options = {}) {
  const answer = await fetch(address, { credentials: "same-origin", ...options });
  if (answer.status === 401) showLogin();
  return answer;
}

function showLogin() {
  $("main").hidden = true;
  if (!$("login").hidden) return;
  $("login").hidden = false;
  $("summary").textContent = "log in to look";
  if (feed) { feed.close(); feed = null; }
  $("token").focus();
}

/* ---- who somebody is, in words ---- */

function named(label, state, subject) {
  if (state === "known") return subject;
  if (state === "uncertain") return `${subject || label}?`;
  return state === "unknown" ? `unknown ${label}` : label;
}

/* ---- cameras ---- */

/** Pictures of one camera while it can be seen, with the boxes of the very same frame. */
class View {
  constructor(name) {
    this.name = name;
    this.sequence = "";
    this.visible = false;
    this.running = false;
    this.figure = make("figure", "camera");
    const view = make("div", "view");
    this.picture = make("img");
    this.picture.alt = `camera ${name}, live`;
    this.boxes = make("div", "boxes");
    this.waiting = make("div", "waiting", "waiting for a picture");
    view.append(this.picture, this.boxes, this.waiting);
    const caption = make("figcaption");
    this.rate = make("span");
    caption.append(make("b", "", name), this.rate);
    this.figure.append(view, caption);
    this.picture.addEventListener("load", () => this.fit());
    new ResizeObserver(() => this.fit()).observe(view);
    new IntersectionObserver(([seen]) => { this.visible = seen.isIntersecting; this.run(); }).observe(this.figure);
  }

  tell(camera) {
    const live = camera.state === "live";
    this.rate.textContent = live ? `${camera.fps} frames/s` : camera.state;
    this.rate.className = live ? "" : "bad";
    if (!live) this.waiting.textContent = camera.reason || camera.state;
    this.waiting.hidden = live && this.picture.hasAttribute("src");
  }

  async run() {
    if (this.running) return;
    this.running = true;
    while (this.visible && !document.hidden && $("login").hidden) {
      const began = performance.now();
      const good = await this.next().catch(() => false);
      await new Promise((go) => setTimeout(go, Math.max(good ? 0 : 1000, 1000 / pictures - (performance.now() - began))));
    }
    this.running = false;
  }

  async next() {
    const answer = await ask(`/cameras/${encodeURIComponent(this.name)}/latest.jpg?after=${this.sequence}`);
    if (answer.status !== 200) return false;
    const story = JSON.parse(answer.headers.get("X-Frame"));
    const old = this.picture.src;
    this.sequence = story.sequence;
    this.picture.src = URL.createObjectURL(await answer.blob());
    if (old) URL.revokeObjectURL(old);
    this.waiting.hidden = true;
    this.boxes.replaceChildren(...story.tracks.map((track) => this.box(track)));
    return true;
  }

  box({ box: [left, top, width, height], label, state, subject, lost }) {
    const box = make("div", `box ${state}${top < 0.08 ? " low" : ""}${lost ? " lost" : ""}`);
    Object.assign(box.style, {
      left: `${left * 100}%`, top: `${top * 100}%`, width: `${width * 100}%`, height: `${height * 100}%`,
    });
    box.append(make("span", "", named(label, state, subject)));
    return box;
  }

  /** The boxes lie on the picture, which has bars beside it where it is not 16 : 9. */
  fit() {
    const { naturalWidth: width, naturalHeight: height } = this.picture;
    const { clientWidth: roomX, clientHeight: roomY } = this.picture;
    if (!width || !roomX) return;
    const scale = Math.min(roomX / width, roomY / height);
    Object.assign(this.boxes.style, {
      left: `${(roomX - width * scale) / 2}px`, top: `${(roomY - height * scale) / 2}px`,
      width: `${width * scale}px`, height: `${height * scale}px`,
    });
  }
}

/* ---- the state ---- */

function duration(seconds) {
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const [size, unit] = units.find(([size]) => seconds >= size) || [1, "s"];
  return `${Math.floor(seconds / size)} ${unit}`;
}

function show(state) {
  document.title = `${state.device} · edge`;
  $("device").textContent = state.device;
  pictures = state.fps;
  const problems = Object.entries(state.problems);
  const lost = state.cameras.filter((camera) => camera.state !== "live").length;
  const words = [`${state.cameras.length - lost} of ${state.cameras.length} cameras live`, `up ${duration(state.uptime)}`];
  if (problems.length) words.unshift(`${problems.length} problem${problems.length > 1 ? "s" : ""}`);
  say(words.join(" · "), problems.length || lost ? "warn" : "");

  $("problems").hidden = !problems.length;
  fill($("problems"), problems.map(([part, problem]) => `${part}: ${problem}`), (text) => make("p", "", text));

  for (const camera of state.cameras) {
    if (!views.has(camera.name)) {
      views.set(camera.name, new View(camera.name));
      $("cameras").append(views.get(camera.name).figure);
    }
    views.get(camera.name).tell(camera);
  }
  present(state);
  facts(state);
  collections(state);
}

function say(text, kind) {
  if ($("summary").textContent !== text) $("summary").textContent = text;
  document.querySelector(".brand").className = `brand ${kind}`;
}

/** Children anew, but only where what they say has changed: screen readers and selections stay undisturbed. */
function fill(parent, things, build) {
  const key = JSON.stringify(things);
  if (parent.dataset.key === key) return;
  parent.dataset.key = key;
  parent.replaceChildren(...things.map(build));
}

function present(state) {
  const all = state.present.flatMap(({ camera, tracks }) => tracks.map((track) => ({ camera, ...track })));
  const lines = all.map((one) => [named(one.label, one.state, one.subject), one.state, [one.camera, ...one.zones].join(", ")]);
  fill($("present"), lines.length ? lines : [null], (line) => {
    if (!line) return make("li", "none", "nobody");
    const item = make("li");
    item.append(make("span", `who ${line[1]}`, line[0]), make("small", "", line[2]));
    return item;
  });
}

function facts(state) {
  const rows = [
    ["Release", state.release || "none"], ["Version", state.version], ["Hardware", state.hardware],
    ["Temperature", state.temperature === null ? "" : `${Math.round(state.temperature)} °C`],
    ["Power", state.throttled.join(", ").replaceAll("_", " ")],
    ["Given up", state.shed],
    ["Memory", `${state.memory_mb} MB`], ["Clock", state.clock],
    ["Broker", state.mqtt ? "set" : "none"],
    ["Events waiting", String(state.outbox.waiting ?? "")],
    ["Events lost", state.outbox.lost ? String(state.outbox.lost) : ""],
  ].filter(([, value]) => value);
  const flat = rows.flatMap(([name, value]) => [["dt", name], ["dd", value]]);
  fill($("facts"), flat, ([tag, text]) => make(tag, "", text));
}

/* ---- events ---- */

function listen() {
  if (feed) return;
  feed = new EventSource("/page/events");
  feed.onmessage = ({ data }) => event(JSON.parse(data));
}

const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

function event(one) {
  const item = make("li", "fresh");
  const moment = new Date(one.time * 1000);
  const time = make("time", "", clock.format(moment));
  time.dateTime = moment.toISOString();
  const words = { new: "came", update: "is", end: "left" };
  const what = make("span");
  what.append(make("span", `who ${one.identity.state}`, named(one.label, one.identity.state, one.identity.subject)),
    ` ${one.type === "update" ? "seen" : words[one.type]}`);
  item.append(time, what, make("small", "", [one.camera, ...one.zones].join(", ")));
  const list = $("events");
  list.prepend(item);
  while (list.childElementCount > MOST_EVENTS) list.lastElementChild.remove();
}

/* ---- collections ---- */

function collections(state) {
  fill($("collections"), state.collections.length ? state.collections : [null], (one) => {
    if (!one) return make("p", "none", "none yet");
    const details = make("details");
    const summary = make("summary", "", one.name);
    summary.append(make("small", "", `${one.faces} face${one.faces === 1 ? "" : "s"}`));
    details.append(summary);
    details.addEventListener("toggle", () => details.open && subjects(details, one.name));
    return details;
  });
  $("enrol").hidden = !state.enrollable.length;
  fill($("enrol-collection"), state.enrollable, (name) => make("option", "", name));
}

async function subjects(details, name) {
  const answer = await ask(`/page/collections/${encodeURIComponent(name)}`);
  if (!answer.ok) return;
  const list = make("ul", "subjects");
  for (const { subject, faces } of (await answer.json()).subjects) list.append(make("li", "", `${subject} · ${faces}`));
  if (!list.childElementCount) list.append(make("li", "none", "no subjects"));
  details.querySelector("ul")?.remove();
  details.append(list);
}

async function enrol(submitted) {
  submitted.preventDefault();
  const button = submitted.target.querySelector("button");
  const name = $("enrol-collection").value;
  const subject = $("enrol-subject").value.trim();
  button.disabled = true;
  $("enrol-results").replaceChildren();
  for (const file of $("enrol-files").files) {
    const line = make("li", "", `${file.name}: looking …`);
    $("enrol-results").append(line);
    try {
      const answer = await ask(
        `/page/collections/${encodeURIComponent(name)}/faces?subject=${encodeURIComponent(subject)}`,
        { method: "POST", headers: { "X-Edge-Page": "1", "Content-Type": "application/octet-stream" }, body: file });
      const said = await answer.json();
      line.className = answer.ok ? "" : "error";
      line.textContent = answer.ok
        ? `${file.name}: ${said.status === "added" ? "enrolled" : "was there already"} as ${said.subject}`
        : `${file.name}: ${said.error}${said.try ? ` (${said.try})` : ""}`;
    } catch {
      line.className = "error";
      line.textContent = `${file.name}: the device did not answer`;
    }
  }
  button.disabled = false;
  look();
}

/* ---- the whole ---- */

async function look() {
  try {
    if ($("main").hidden && (await (await ask("/page/door")).json()).login) return showLogin();
    const answer = await ask("/page/state");
    if (answer.status === 401) return;
    if (!answer.ok) return say((await answer.json()).error, "off");
    $("login").hidden = true;
    $("main").hidden = false;
    show(await answer.json());
    listen();
    for (const view of views.values()) view.run();
  } catch {
    say("the device does not answer", "off");
  }
}

async function login(submitted) {
  submitted.preventDefault();
  $("login-error").textContent = "";
  const answer = await fetch("/page/login", {
    method: "POST", headers: { "X-Edge-Page": "1" }, body: JSON.stringify({ token: $("token").value }),
  }).catch(() => null);
  if (!answer?.ok) {
    $("login-error").textContent = answer ? (await answer.json()).error : "the device does not answer";
    return;
  }
  $("token").value = "";
  $("login").hidden = true;
  look();
}

$("login-form").addEventListener("submit", login);
$("enrol").addEventListener("submit", enrol);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { feed?.close(); feed = null; $("events").replaceChildren(); } else look();
});
setInterval(() => document.hidden || !$("login").hidden || look(), STATE_EVERY);
look();
