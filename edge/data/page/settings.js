/** Settings: cameras with zones drawn on the picture, a form of every other setting, a diff before anything is applied. */

import { $, ask, button, make, post, set, tell, words } from "./common.js";
import { outline } from "./live.js";
import { t } from "./words.js";

const NEAR = 0.03; // fraction of the picture within which a corner is taken hold of
let told = null; // what the device says of its settings
let changes = new Map(); // path as JSON -> value
let camera = 0; // place of the chosen camera
let corners = []; // of the zone that is drawn
let held = -1; // corner that is moved

export async function enter() {
  const answer = await ask("page/settings").catch(() => null);
  const said = await answer?.json();
  if (!answer?.ok) return said && tell(words(said), "bad");
  told = said;
  changes = new Map();
  $("settings-path").textContent = told.path;
  $("settings-undo").disabled = !told.undoable;
  $("settings-diff").hidden = true;
  const cameras = told.values.cameras;
  camera = Math.min(camera, cameras.length - 1);
  $("zone-camera").replaceChildren(...cameras.map((one, index) => Object.assign(make("option", "", one.name), { value: index })));
  $("zone-camera").value = camera;
  sections();
  zones();
}

/* ---- changes ---- */

function change(path, value) {
  changes.set(JSON.stringify(path), value);
  preview();
}

const asked = () => ({ base: told.base, changes: [...changes].map(([path, value]) => ({ path: JSON.parse(path), value })) });

let turn = 0;

async function preview() {
  const now = ++turn;
  if (!changes.size) { $("settings-diff").hidden = true; return; }
  const said = await post("page/settings/preview", asked());
  if (now !== turn) return;
  $("settings-diff").hidden = false;
  $("settings-apply").disabled = !said.ok;
  $("settings-error").textContent = said.ok ? "" : words(said);
  $("settings-lines").replaceChildren(...(said.ok ? said.diff.split("\n") : []).map((line) => make("span", line[0] === "+" ? "added" : line[0] === "-" ? "removed" : "", `${line}\n`)));
}

async function apply() {
  const said = await post("page/settings/apply", asked());
  if (!said.ok) { $("settings-error").textContent = words(said); return tell(words(said), "bad"); }
  tell(told.takes_over ? t("Applied: the device takes the settings over now.") : t("Written: it counts from the next start."));
  setTimeout(enter, 1500);
}

async function undo() {
  const said = await post("page/settings/undo");
  if (!said.ok) return tell(words(said), "bad");
  tell(t("The last change is undone."));
  setTimeout(enter, 1500);
}

/* ---- zones ---- */

function zones() {
  const one = told.values.cameras[camera];
  const picture = $("zone-picture");
  picture.alt = t("camera {name}", { name: one.name });
  picture.src = `cameras/${encodeURIComponent(one.name)}/latest.jpg?after=none&at=${Date.now()}`;
  corners = [];
  const names = Object.keys(one.zones);
  $("zone-list").replaceChildren(...(names.length ? names.map((name) => {
    const line = make("li", "", "", make("b", "", name), button(t("Edit"), "", () => edit(name), "plain small"), button(t("Delete"), "", () => { delete one.zones[name]; changeZone(name, null); zones(); }, "plain small danger"));
    line.children[1].setAttribute("aria-label", t("Edit {name}", { name }));
    line.children[2].setAttribute("aria-label", t("Delete {name}", { name }));
    return line;
  }) : [make("li", "none", t("no zones"))]));
  drawZones();
}

function edit(name) {
  corners = told.values.cameras[camera].zones[name].map((corner) => [...corner]);
  $("zone-name").value = name;
  drawZones();
}

function drawZones() {
  const one = told.values.cameras[camera];
  const editing = $("zone-name").value.trim();
  const others = Object.entries(one.zones).filter(([name]) => !corners.length || name !== editing).map(([name, shape]) => outline(name, shape));
  const own = corners.length ? [outline(editing, corners)] : [];
  own.forEach((shape) => shape.setAttribute("class", "drawn"));
  $("zone-shapes").replaceChildren(...others, ...own);
  $("zone-corners").replaceChildren(...corners.map(([x, y], index) => {
    const knob = make("button", "knob");
    knob.type = "button";
    Object.assign(knob.style, { left: `${100 * x}%`, top: `${100 * y}%` });
    knob.setAttribute("aria-label", t("corner {n}: arrow keys move it, Delete removes it", { n: index + 1 }));
    knob.addEventListener("keydown", (event) => moved(event, index));
    return knob;
  }));
  $("zone-save").disabled = corners.length < 3;
}

const round = (value) => Math.round(Math.min(1, Math.max(0, value)) * 1000) / 1000;

function place(event) {
  const { left, top, width, height } = $("zone-board").getBoundingClientRect();
  return [round((event.clientX - left) / width), round((event.clientY - top) / height)];
}

function pressed(event) {
  if (event.button) return;
  event.preventDefault();
  const [x, y] = place(event);
  held = corners.findIndex(([cx, cy]) => Math.hypot(cx - x, cy - y) < NEAR);
  if (held < 0) { corners.push([x, y]); held = corners.length - 1; }
  $("zone-board").setPointerCapture(event.pointerId);
  drawZones();
}

function dragged(event) {
  if (held < 0) return;
  corners[held] = place(event);
  drawZones();
}

function moved(event, index) {
  const steps = { ArrowLeft: [-0.01, 0], ArrowRight: [0.01, 0], ArrowUp: [0, -0.01], ArrowDown: [0, 0.01] };
  if (event.key in steps) corners[index] = corners[index].map((value, axis) => round(value + steps[event.key][axis]));
  else if (event.key === "Delete" || event.key === "Backspace") corners.splice(index, 1);
  else return;
  event.preventDefault();
  drawZones();
  $("zone-corners").children[Math.min(index, corners.length - 1)]?.focus();
}

function saveZone(event) {
  event.preventDefault();
  const name = $("zone-name").value.trim();
  if (!name || corners.length < 3) return;
  told.values.cameras[camera].zones[name] = corners.map((corner) => [...corner]);
  changeZone(name, corners);
  $("zone-name").value = "";
  zones();
}

/** Where the file names no camera, the one that is there by default is written down first. */
function changeZone(name, shape) {
  const { name: cameraName, zones: all } = told.values.cameras[camera];
  if (told.cameras) change(["cameras", camera, "zones", name], shape); else change(["cameras", 0], { name: cameraName, zones: all });
}

/* ---- a new camera ---- */

async function testCamera() {
  $("camera-test").disabled = true;
  $("camera-said").textContent = t("opening the camera: this takes up to 15 seconds");
  const answer = await fetch("page/cameras/test", {
    method: "POST", headers: { "X-Edge-Page": "1" }, body: JSON.stringify({ name: $("camera-name").value.trim(), source: $("camera-source").value.trim() }),
  }).catch(() => null);
  $("camera-test").disabled = false;
  const good = answer?.ok;
  $("camera-said").textContent = good ? t("This is what the camera sees.") : words(answer ? await answer.json() : { error: t("the device did not answer") });
  $("camera-picture").hidden = !good;
  $("camera-add").disabled = !good;
  if (good) $("camera-picture").src = URL.createObjectURL(await answer.blob());
}

function addCamera(event) {
  event.preventDefault();
  if ($("camera-add").disabled) return;
  change(["cameras", told.cameras], { name: $("camera-name").value.trim(), source: $("camera-source").value.trim() });
}

/* ---- every other setting, by the schema ---- */

const resolve = (part) => {
  const found = part.$ref ? told.schema.$defs[part.$ref.split("/").at(-1)] : part.allOf ? resolve(part.allOf[0]) : part;
  return { ...found, ...(part.description ? { description: part.description } : {}) };
};

function sections() {
  const names = Object.entries(told.schema.properties).filter(([name, part]) => resolve(part).properties && name !== "cameras").map(([name]) => name);
  const now = $("section").value;
  $("section").replaceChildren(...names.map((name) => make("option", "", name)));
  if (names.includes(now)) $("section").value = now;
  fields();
}

function fields() {
  const name = $("section").value;
  const section = resolve(told.schema.properties[name]);
  $("section-about").textContent = (section.description ?? "").replace(/^\[[^\]]*\]:\s*/, "");
  $("section-fields").replaceChildren(...Object.entries(section.properties).map(([field, part]) => fieldOf(name, field, resolve(part))));
}

function fieldOf(section, name, part) {
  const value = told.values[section][name];
  const id = `setting-${section}-${name}`;
  const control = controlOf(part, value);
  control.id = id;
  control.addEventListener("change", () => {
    const given = valueOf(control, part);
    if (given !== undefined) change([section, name], given);
  });
  const label = set(make("label", "", name), { for: id });
  const about = make("p", "hint", part.description ?? "");
  about.id = `${id}-about`;
  control.setAttribute("aria-describedby", about.id);
  return make("div", "setting", "", label, control, about);
}

function controlOf(part, value) {
  if (part.writeOnly || part.format === "password") return Object.assign(make("input"), { type: "password", placeholder: t("unchanged"), autocomplete: "new-password" });
  if (part.enum) {
    const select = make("select");
    select.append(...part.enum.map((one) => Object.assign(make("option", "", String(one)), { value: one })));
    select.value = value;
    return select;
  }
  if (part.type === "boolean") return Object.assign(make("input"), { type: "checkbox", checked: value });
  if (part.type === "integer" || part.type === "number") return Object.assign(make("input"), { type: "number", step: part.type === "integer" ? 1 : "any", value, min: part.minimum ?? "", max: part.maximum ?? "" });
  if (part.type === "string") return Object.assign(make("input"), { value: value ?? "", spellcheck: false });
  return Object.assign(make("input"), { value: value === null ? "" : JSON.stringify(value), spellcheck: false });
}

/** What a field says; undefined where it is no value. */
function valueOf(control, part) {
  if (control.type === "checkbox") return control.checked;
  if (control.type === "number") return control.value === "" ? null : Number(control.value);
  if (part.type === "string" || part.enum) return control.value === "" && part.default !== "" ? null : control.value;
  if (control.value.trim() === "") return null;
  try { return JSON.parse(control.value); } catch { tell(t("expected JSON: a number, a text in quotes, a list"), "bad"); return undefined; }
}

export function begin() {
  $("zone-camera").addEventListener("change", () => { camera = Number($("zone-camera").value); zones(); });
  $("zone-board").addEventListener("pointerdown", pressed);
  $("zone-board").addEventListener("pointermove", dragged);
  for (const name of ["pointerup", "pointercancel"]) $("zone-board").addEventListener(name, () => { held = -1; });
  $("zone-form").addEventListener("submit", saveZone);
  $("zone-name").addEventListener("input", drawZones);
  $("zone-clear").addEventListener("click", () => { corners = []; drawZones(); });
  $("zone-add").addEventListener("click", () => { corners.push([0.5, 0.5]); drawZones(); $("zone-corners").lastChild.focus(); });
  $("camera-form").addEventListener("submit", addCamera);
  $("camera-test").addEventListener("click", testCamera);
  for (const field of ["camera-name", "camera-source"]) $(field).addEventListener("input", () => { $("camera-add").disabled = true; });
  $("section").addEventListener("change", fields);
  $("settings-apply").addEventListener("click", apply);
  $("settings-drop").addEventListener("click", enter);
  $("settings-undo").addEventListener("click", undo);
}
