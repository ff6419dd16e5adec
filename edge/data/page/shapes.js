/** Zones and masks of a camera, drawn on its picture with the mouse, a finger or the keys. */

import { changeCamera, settings } from "./changes.js";
import { $, button, make } from "./common.js";
import { outline } from "./live.js";
import { t } from "./words.js";

const NEAR = 0.03; // fraction of the picture within which a corner is taken hold of
const KINDS = ["zones", "masks"];
let camera = 0; // place of the chosen camera
let kind = "zones";
let corners = []; // of the shape that is drawn
let held = -1; // corner that is moved

const chosen = () => settings().values.cameras[camera];
const round = (value) => Math.round(Math.min(1, Math.max(0, value)) * 1000) / 1000;

export function show() {
  const cameras = settings().values.cameras;
  camera = Math.min(camera, cameras.length - 1);
  $("zone-camera").replaceChildren(...cameras.map((one, index) => Object.assign(make("option", "", one.name), { value: index })));
  $("zone-camera").value = camera;
  draw();
}

function draw() {
  const one = chosen();
  const picture = $("zone-picture");
  picture.alt = t("camera {name}", { name: one.name });
  picture.src = `cameras/${encodeURIComponent(one.name)}/latest.jpg?after=none&at=${Date.now()}`;
  corners = [];
  const shapes = KINDS.flatMap((which) => Object.keys(one[which]).map((name) => [which, name]));
  $("zone-list").replaceChildren(...(shapes.length ? shapes.map(([which, name]) => lineOf(which, name)) : [make("li", "none", t("no zones and no masks"))]));
  drawShapes();
}

function lineOf(which, name) {
  const edit = button(t("Edit"), "", () => take(which, name), "plain small");
  const remove = button(t("Delete"), "", () => {
    delete chosen()[which][name];
    changeCamera(camera, [which, name], null);
    draw();
  }, "plain small danger");
  edit.setAttribute("aria-label", t("Edit {name}", { name }));
  remove.setAttribute("aria-label", t("Delete {name}", { name }));
  return make("li", "", "", make("b", "", name), make("small", "", which === "masks" ? t("mask") : t("zone")), edit, remove);
}

function take(which, name) {
  choose(which);
  corners = chosen()[which][name].map((corner) => [...corner]);
  $("zone-name").value = name;
  drawShapes();
}

function choose(which) {
  kind = which;
  for (const one of document.querySelectorAll("input[name=zone-kind]")) one.checked = one.value === which;
  $("zone-about").hidden = which !== "zones";
  $("mask-about").hidden = which !== "masks";
}

function drawShapes() {
  const one = chosen();
  const editing = $("zone-name").value.trim();
  const others = KINDS.flatMap((which) => Object.entries(one[which])
    .filter(([name]) => !(corners.length && which === kind && name === editing))
    .map(([name, shape]) => outline(name, shape, which === "masks" ? "mask" : "")));
  const own = corners.length ? [outline(editing, corners, "drawn")] : [];
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
  drawShapes();
}

function dragged(event) {
  if (held < 0) return;
  corners[held] = place(event);
  drawShapes();
}

function moved(event, index) {
  const steps = { ArrowLeft: [-0.01, 0], ArrowRight: [0.01, 0], ArrowUp: [0, -0.01], ArrowDown: [0, 0.01] };
  if (event.key in steps) corners[index] = corners[index].map((value, axis) => round(value + steps[event.key][axis]));
  else if (event.key === "Delete" || event.key === "Backspace") corners.splice(index, 1);
  else return;
  event.preventDefault();
  drawShapes();
  $("zone-corners").children[Math.min(index, corners.length - 1)]?.focus();
}

function save(event) {
  event.preventDefault();
  const name = $("zone-name").value.trim();
  if (!name || corners.length < 3) return;
  chosen()[kind][name] = corners.map((corner) => [...corner]);
  changeCamera(camera, [kind, name], chosen()[kind][name]);
  $("zone-name").value = "";
  draw();
}

/** Shapes can be drawn without a picture too. */
function blank(missing) {
  $("zone-picture").hidden = missing;
  $("zone-blank").hidden = !missing;
  $("zone-board").classList.toggle("blank", missing);
}

export function begin() {
  $("zone-picture").addEventListener("load", () => blank(false));
  $("zone-picture").addEventListener("error", () => blank(true));
  $("zone-camera").addEventListener("change", () => { camera = Number($("zone-camera").value); draw(); });
  for (const one of document.querySelectorAll("input[name=zone-kind]")) one.addEventListener("change", () => { choose(one.value); drawShapes(); });
  $("zone-board").addEventListener("pointerdown", pressed);
  $("zone-board").addEventListener("pointermove", dragged);
  for (const name of ["pointerup", "pointercancel"]) $("zone-board").addEventListener(name, () => { held = -1; });
  $("zone-form").addEventListener("submit", save);
  $("zone-name").addEventListener("input", drawShapes);
  $("zone-clear").addEventListener("click", () => { corners = []; drawShapes(); });
  $("zone-add").addEventListener("click", () => { corners.push([0.5, 0.5]); drawShapes(); $("zone-corners").lastChild.focus(); });
}
