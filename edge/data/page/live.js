/** Cameras, who is there, what happens, how the device does. */

import { $, ask, count, fill, make, named } from "./common.js";

const MOST_EVENTS = 200; // lines in the list: older ones go
const views = new Map(); // camera -> its view
let feed = null;
const pace = { pictures: 5 }; // a second

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
    while (this.visible && this.figure.isConnected && !document.hidden && $("login").hidden) {
      const began = performance.now();
      const good = await this.next().catch(() => false);
      const rest = 1000 / pace.pictures - (performance.now() - began);
      await new Promise((go) => setTimeout(go, Math.max(good ? 0 : 1000, rest)));
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
    Object.assign(this.boxes.style, {
      left: `${(roomX - width * scale) / 2}px`, top: `${(roomY - height * scale) / 2}px`,
      width: `${width * scale}px`, height: `${height * scale}px`,
    });
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

export function run() {
  for (const view of views.values()) view.run();
}

function present(state) {
  const all = state.present.flatMap(({ camera, tracks }) => tracks.map((track) => ({ camera, ...track })));
  const lines = all.map((one) => [named(one), one.state, [one.camera, ...one.zones].join(", ")]);
  fill($("present"), lines.length ? lines : [null], (line) => {
    if (!line) return make("li", "none", "nobody");
    return make("li", "", "", make("span", `who ${line[1]}`, line[0]), make("small", "", line[2]));
  });
}

function facts(state) {
  const faces = state.collections.reduce((sum, one) => sum + one.faces, 0);
  const rows = [
    ["Release", state.release || "none"], ["Version", state.version], ["Hardware", state.hardware],
    ["Temperature", state.temperature === null ? "" : `${Math.round(state.temperature)} °C`],
    ["Power", state.throttled.join(", ").replaceAll("_", " ")],
    ["Given up", state.shed],
    ["Memory", `${state.memory_mb} MB`], ["Clock", state.clock],
    ["Broker", state.mqtt ? "set" : "none"],
    ["Events waiting", String(state.outbox.waiting ?? "")],
    ["Events lost", state.outbox.lost ? String(state.outbox.lost) : ""],
    ["Enrolled", count(faces, "face")],
  ].filter(([, value]) => value);
  const flat = rows.flatMap(([name, value]) => [["dt", name], ["dd", value]]);
  fill($("facts"), flat, ([tag, text]) => make(tag, "", text));
}

/* ---- events ---- */

export function listen() {
  if (feed) return;
  feed = new EventSource("/page/events");
  feed.onmessage = ({ data }) => take(JSON.parse(data));
}

export function deaf(forget = false) {
  feed?.close();
  feed = null;
  if (forget) $("events").replaceChildren();
}

const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const WORDS = { new: "came", update: "seen", end: "left" };
let waiting = []; // events that the next drawn frame shows

/** Many at once are drawn once. */
function take(one) {
  if (!waiting.length) requestAnimationFrame(draw);
  waiting.push(one);
  if (waiting.length > MOST_EVENTS) waiting.shift();
}

function draw() {
  const list = $("events");
  list.prepend(...waiting.reverse().map(line));
  waiting = [];
  while (list.childElementCount > MOST_EVENTS) list.lastElementChild.remove();
}

function line(one) {
  const moment = new Date(one.time * 1000);
  const time = make("time", "", clock.format(moment));
  time.dateTime = moment.toISOString();
  const { state } = one.identity;
  const what = make("span", "", "", make("span", `who ${state}`, named({ ...one, ...one.identity })), ` ${WORDS[one.type] ?? one.type}`);
  return make("li", "fresh", "", time, what, make("small", "", [one.camera, ...one.zones].join(", ")));
}
