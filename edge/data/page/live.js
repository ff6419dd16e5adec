/** Cameras, who is there, what happens, how the device does. */

import { $, ask, dates, faces as facesOf, fill, make, named } from "./common.js";
import { t, told } from "./words.js";

const MOST_EVENTS = 200; // lines in the list: older ones go
const PATIENCE = 8000; // milliseconds that a picture may take
const views = new Map(); // camera -> its view
let feed = null;
const pace = { pictures: 5 }; // a second

const SVG = "http://www.w3.org/2000/svg";
const STATES = { live: "live", connecting: "connecting", lost: "camera lost", off: "off" };
const BROKER = {
  off: "none", set: "configured", connecting: "connecting", online: "connected", unreachable: "unreachable", untrusted: "TLS failed",
  unauthorized: "login refused", refused: "refused", unsupported: "protocol not supported", duplicate_client_id: "client id used twice", stopped: "stopped",
};

/** The outline of a zone or mask: corners are fractions of the frame. */
export function outline(name, corners, kind = "") {
  const shape = document.createElementNS(SVG, "polygon");
  shape.setAttribute("class", kind);
  shape.setAttribute("points", corners.map(([x, y]) => `${100 * x},${100 * y}`).join(" "));
  const title = document.createElementNS(SVG, "title");
  title.textContent = name;
  shape.append(title);
  return shape;
}

/** Pictures of one camera while it can be seen, with the boxes of the very same frame. */
export class View {
  constructor(name) {
    this.name = name;
    this.sequence = "";
    this.visible = false;
    this.running = false;
    this.figure = make("figure", "camera");
    const view = make("div", "view");
    this.picture = make("img");
    this.picture.alt = t("camera {name}, live", { name });
    this.boxes = make("div", "boxes");
    this.waiting = make("div", "waiting", t("waiting for a picture"));
    this.zones = document.createElementNS(SVG, "svg");
    for (const [attribute, value] of [["class", "zones"], ["viewBox", "0 0 100 100"], ["preserveAspectRatio", "none"], ["aria-hidden", "true"]]) this.zones.setAttribute(attribute, value);
    view.append(this.picture, this.zones, this.boxes, this.waiting);
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
    this.rate.textContent = live ? t("{n} frames/s", { n: camera.fps }) : t(STATES[camera.state] ?? camera.state);
    this.rate.className = live ? "" : "bad";
    this.drawShapes(camera);
    this.stale(!live, told(camera.reason) || t(STATES[camera.state] ?? camera.state));
  }

  /** Whether the last picture is not what the camera sees now: it turns gray, and its boxes go. */
  stale(old, reason = "") {
    this.figure.classList.toggle("stale", old);
    this.boxes.hidden = old;
    if (old) this.waiting.textContent = reason;
    this.waiting.hidden = !old && this.picture.hasAttribute("src");
  }

  /** The connection to the device is lost: nothing here is current. */
  lose() {
    this.rate.textContent = t("no connection");
    this.rate.className = "bad";
    this.stale(true, t("no connection to the device"));
  }

  /** Zones and masks of the settings, as outlines on the picture. */
  drawShapes({ zones = {}, masks = {} }) {
    const shapes = [...Object.entries(zones).map((one) => [...one, ""]), ...Object.entries(masks).map((one) => [...one, "mask"])];
    const key = JSON.stringify(shapes);
    if (this.zones.dataset.key === key) return;
    this.zones.dataset.key = key;
    this.zones.replaceChildren(...shapes.map((one) => outline(...one)));
  }

  async run() {
    if (this.running) return;
    this.running = true;
    while (this.visible && this.figure.isConnected && !document.hidden && $("login").hidden) {
      const began = performance.now();
      const good = await this.next().catch(() => false);
      const rest = 1000 / pace.pictures - (performance.now() - began);
      await new Promise((go) => setTimeout(go, Math.max(good ? 0 : 1000, rest)));
    }
    this.running = false;
  }

  async next() {
    const answer = await ask(`cameras/${encodeURIComponent(this.name)}/latest.jpg?after=${this.sequence}`, { signal: AbortSignal.timeout(PATIENCE) });
    if (answer.status !== 200) return false;
    const story = JSON.parse(answer.headers.get("X-Frame"));
    const old = this.picture.src;
    this.sequence = story.sequence;
    this.picture.src = URL.createObjectURL(await answer.blob());
    if (old) URL.revokeObjectURL(old);
    if (!this.figure.classList.contains("stale")) this.waiting.hidden = true;
    this.boxes.replaceChildren(...story.tracks.map((track) => this.box(track)));
    return true;
  }

  box(track) {
    const { box: [left, top, width, height], state, lost } = track;
    const box = make("div", `box ${state}${top < 0.08 ? " low" : ""}${lost ? " lost" : ""}`);
    Object.assign(box.style, {
      left: `${left * 100}%`, top: `${top * 100}%`, width: `${width * 100}%`, height: `${height * 100}%`,
    });
    box.append(make("span", "", named(track)));
    return box;
  }

  /** The boxes lie on the picture, which has bars beside it where it is not 16 : 9. */
  fit() {
    const { naturalWidth: width, naturalHeight: height } = this.picture;
    const { clientWidth: roomX, clientHeight: roomY } = this.picture;
    if (!width || !roomX) return;
    const scale = Math.min(roomX / width, roomY / height);
    for (const layer of [this.boxes, this.zones]) {
      Object.assign(layer.style, {
        left: `${(roomX - width * scale) / 2}px`, top: `${(roomY - height * scale) / 2}px`,
        width: `${width * scale}px`, height: `${height * scale}px`,
      });
    }
  }
}

export function show(state) {
  pace.pictures = state.fps;
  for (const camera of state.cameras) {
    if (!views.has(camera.name)) {
      views.set(camera.name, new View(camera.name));
      $("cameras").append(views.get(camera.name).figure);
    }
    views.get(camera.name).tell(camera);
  }
  present(state);
  facts(state);
}

/** The device does not answer: no picture and nobody "present" is current. */
export function lose() {
  for (const view of views.values()) view.lose();
  fill($("present"), ["lost"], () => make("li", "none", t("not known: the device does not answer")));
}

/** What is wrong with the broker, in words; empty where nothing is. */
export function brokerProblem({ broker, outbox }) {
  if (["off", "set", "online", "connecting"].includes(broker.state)) return "";
  const waiting = outbox.waiting ? t(" {n} events wait.", { n: outbox.waiting }) : "";
  return t("Broker: {state}.", { state: t(BROKER[broker.state] ?? broker.state) }) + waiting + (broker.try ? ` ${t("Try: {hint}", { hint: told(broker.try) })}` : "");
}

export function run() {
  for (const view of views.values()) view.run();
}

function present(state) {
  const all = state.present.flatMap(({ camera, tracks }) => tracks.map((track) => ({ camera, ...track })));
  const lines = all.map((one) => [named(one), one.state, [one.camera, ...one.zones].join(", ")]);
  fill($("present"), lines.length ? lines : [null], (line) => {
    if (!line) return make("li", "none", t("nobody"));
    return make("li", "", "", make("span", `who ${line[1]}`, line[0]), make("small", "", line[2]));
  });
}

function facts(state) {
  const faces = state.collections.reduce((sum, one) => sum + one.faces, 0);
  const rows = [
    [t("Broker"), t(BROKER[state.broker.state] ?? state.broker.state)],
    [t("Events waiting"), String(state.outbox.waiting ?? "")],
    [t("Events lost"), state.outbox.lost ? String(state.outbox.lost) : ""],
    [t("Enrolled"), facesOf(faces)],
    [t("Temperature"), state.temperature === null ? "" : `${Math.round(state.temperature)} °C`],
    [t("Power"), state.throttled.map((flag) => t(flag.replaceAll("_", " "))).join(", ")],
    [t("Degraded"), state.shed.map(told).join(": ")],
    [t("Clock"), state.clock === "synced" ? "" : t("not set: times may be wrong")],
    [t("Memory"), t("{n} MB", { n: state.memory_mb })], [t("Version"), state.version], [t("Address"), state.address], [t("Release"), state.release],
  ].filter(([, value]) => value);
  const flat = rows.flatMap(([name, value]) => [["dt", name], ["dd", value]]);
  fill($("device-facts"), flat, ([tag, text]) => make(tag, "", text));
}

/* ---- events ---- */

const nothing = () => make("li", "none", t("No events yet."));

export function listen() {
  if (feed) return;
  if (!$("events").childElementCount) $("events").append(nothing());
  feed = new EventSource("page/events");
  feed.onmessage = ({ data }) => take(JSON.parse(data));
}

export function deaf(forget = false) {
  feed?.close();
  feed = null;
  if (forget) $("events").replaceChildren(nothing());
}

const WORDS = { new: "arrived", update: "updated", end: "left" };
const timeOf = (moment) => (moment.toDateString() === new Date().toDateString() ? dates.clock : dates.moment).format(moment);
let waiting = []; // events that the next drawn frame shows

/** Many at once are drawn once. */
function take(one) {
  if (!waiting.length) requestAnimationFrame(draw);
  waiting.push(one);
  if (waiting.length > MOST_EVENTS) waiting.shift();
}

function draw() {
  const list = $("events");
  list.querySelector(".none")?.remove();
  list.prepend(...waiting.reverse().map(line));
  waiting = [];
  while (list.childElementCount > MOST_EVENTS) list.lastElementChild.remove();
}

function line(one) {
  const moment = new Date(one.time * 1000);
  const time = make("time", "", timeOf(moment));
  time.dateTime = moment.toISOString();
  const { state } = one.identity;
  const what = make("span", "", "", make("span", `who ${state}`, named({ ...one, ...one.identity })), ` ${t(WORDS[one.type] ?? one.type)}`);
  return make("li", "fresh", "", time, what, make("small", "", [one.camera, ...one.zones].join(", ")));
}
