/** The boxes of one picture: moved, resized, drawn, named and deleted by mouse, finger or keyboard. */

import { $, ask, make, path, post, set, tell, words, working } from "./common.js";
import { plural, t } from "./words.js";

const LEAST = 0.012; // of the picture's width or height: a smaller box is a slip
const STEP = 0.01; // of an arrow key; a tenth of it with Alt
const CORNERS = { nw: ["left", "top"], ne: ["right", "top"], sw: ["left", "bottom"], se: ["right", "bottom"] };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

let about = null; // the question
let boxes = []; // {label, left, top, right, bottom, found, element}
let before = []; // earlier states, for undo
let current = null;
let drag = null; // {box, sides, x, y, was}
let done = () => {};

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const copy = () => boxes.map(({ label, left, top, right, bottom, found }) => ({ label, left, top, right, bottom, found }));
const remember = () => { before.push(copy()); };

/** Open the boxes of a question's picture; ``saved(ids)`` after they were stored: the questions answered by it. */
export async function openBoxes(item, saved) {
  const answer = await ask(path("review", String(item.id), "boxes")).catch(() => null);
  if (!answer?.ok) return tell(t("The picture of this question is gone."), "bad");
  const said = await answer.json();
  about = item;
  done = saved;
  before = [];
  current = null;
  $("boxes-labels").replaceChildren(...said.labels.map((value) => Object.assign(make("option"), { value })));
  $("boxes-label").value = item.subject ?? said.labels[0] ?? "";
  $("boxes-picture").src = path("review", String(item.id), "boxes.jpg");
  restore(said.boxes.map(({ left, top, width, height, label, found }) => ({ label, found, left, top, right: left + width, bottom: top + height })));
  $("boxes-dialog").showModal();
  $("boxes-stage").focus();
}

function restore(list) {
  boxes = list;
  current = null;
  $("boxes-stage").replaceChildren($("boxes-picture"), ...boxes.map(build));
  paint();
}

function build(box) {
  box.element = set(make("div", "box", "", make("b")), { tabindex: "0", role: "group" });
  for (const corner of Object.keys(CORNERS)) {
    const handle = make("i", `handle ${corner}`);
    handle.dataset.corner = corner;
    box.element.append(handle);
  }
  box.element.addEventListener("focus", () => choose(box));
  place(box);
  return box.element;
}

function place(box) {
  const { style } = box.element;
  for (const [side, value] of [["left", box.left], ["top", box.top], ["width", box.right - box.left], ["height", box.bottom - box.top]]) style[side] = `${100 * value}%`;
  box.element.firstChild.textContent = box.found ? box.label : `${box.label}?`;
  box.element.classList.toggle("proposal", !box.found);
  box.element.classList.toggle("chosen", box === current);
  const where = { label: box.label, left: Math.round(100 * box.left), top: Math.round(100 * box.top), width: Math.round(100 * (box.right - box.left)), height: Math.round(100 * (box.bottom - box.top)) };
  const text = t("{label}, {left} % from the left, {top} % from the top, {width} % wide, {height} % high", where);
  set(box.element, { "aria-label": box.found ? text : t("Not sure: {box}", { box: text }) });
}

function paint() {
  for (const box of boxes) place(box);
  const sure = boxes.filter((box) => box.found).length;
  $("boxes-count").textContent = plural(sure, "{n} box is saved", "{n} boxes are saved") + (sure < boxes.length ? ` · ${plural(boxes.length - sure, "{n} proposal is left out: accept it, or leave it", "{n} proposals are left out: accept them, or leave them")}` : "");
  $("boxes-delete").disabled = !current;
  $("boxes-accept").disabled = !current || current.found;
  $("boxes-accept").hidden = !boxes.some((box) => !box.found);
  $("boxes-undo").disabled = !before.length;
}

function choose(box) {
  if (current === box) return;
  current = box;
  if (box) $("boxes-label").value = box.label;
  paint();
}

/* ---- changes ---- */

function add(left, top, right, bottom) {
  const label = $("boxes-label").value.trim();
  const box = { label: label || about.subject || "", left, top, right, bottom, found: true };
  boxes.push(box);
  $("boxes-stage").append(build(box));
  current = box;
  paint();
  return box;
}

function remove() {
  if (!current) return;
  remember();
  const place = boxes.indexOf(current);
  current.element.remove();
  boxes.splice(place, 1);
  current = null;
  paint();
  (boxes[Math.min(place, boxes.length - 1)]?.element ?? $("boxes-stage")).focus();
}

function accept() {
  if (!current || current.found) return;
  remember();
  current.found = true;
  paint();
}

function relabel() {
  const label = $("boxes-label").value.trim();
  if (!current || !label || label === current.label) return;
  remember();
  Object.assign(current, { label, found: true });
  paint();
}

function undo() {
  if (before.length) restore(before.pop());
}

/** The box ``was`` with some of its sides moved; all four move it as a whole. */
function moved(was, sides, dx, dy) {
  if (sides.length === 4) {
    const x = clamp(dx, -was.left, 1 - was.right);
    const y = clamp(dy, -was.top, 1 - was.bottom);
    return { left: was.left + x, right: was.right + x, top: was.top + y, bottom: was.bottom + y };
  }
  const { left, top, right, bottom } = was;
  const now = { left, top, right, bottom };
  for (const side of sides) now[side] = clamp(was[side] + (side === "left" || side === "right" ? dx : dy), 0, 1);
  return { left: Math.min(now.left, now.right), right: Math.max(now.left, now.right), top: Math.min(now.top, now.bottom), bottom: Math.max(now.top, now.bottom) };
}

/* ---- mouse and finger ---- */

function point(event) {
  const area = $("boxes-stage").getBoundingClientRect();
  return [clamp((event.clientX - area.left) / area.width, 0, 1), clamp((event.clientY - area.top) / area.height, 0, 1)];
}

function pressed(event) {
  if (event.button > 0 || drag) return;
  event.preventDefault();
  const [x, y] = point(event);
  const element = event.target.closest(".box");
  let box = boxes.find((one) => one.element === element);
  remember();
  let sides = CORNERS[event.target.dataset.corner] ?? ["left", "top", "right", "bottom"];
  const fresh = !box;
  if (fresh) {
    box = add(x, y, x, y);
    sides = CORNERS.se;
  }
  choose(box);
  drag = { box, sides, x, y, fresh, was: { ...box }, id: event.pointerId };
  $("boxes-stage").setPointerCapture(event.pointerId);
}

function dragged(event) {
  if (!drag || event.pointerId !== drag.id) return;
  const [x, y] = point(event);
  if (x === drag.x && y === drag.y) return;
  Object.assign(drag.box, moved(drag.was, drag.sides, x - drag.x, y - drag.y), { found: true });
  place(drag.box);
}

function released(event) {
  if (!drag || event.pointerId !== drag.id) return;
  const { box, was, fresh } = drag;
  drag = null;
  const slip = box.right - box.left < LEAST || box.bottom - box.top < LEAST;
  if (event.type === "pointercancel" || slip) restore(before.pop());
  else {
    if (!fresh && ["left", "top", "right", "bottom"].every((side) => box[side] === was[side])) before.pop();
    paint();
    box.element.focus({ preventScroll: true });
  }
}

/* ---- keyboard ---- */

function keyed(event) {
  if (event.target.closest("input") || event.ctrlKey || event.metaKey) return;
  const arrow = ARROWS[event.key];
  const does = { Delete: remove, Backspace: remove, Enter: accept, n: drawn, N: drawn, u: undo, U: undo, l: toLabel, L: toLabel }[event.key];
  const onButton = event.target.closest("button") && (event.key === "Enter" || event.key === " ");
  if (onButton || (!does && !(arrow && current))) return;
  event.preventDefault();
  if (does) return does();
  const step = event.altKey ? STEP / 10 : STEP;
  const sides = event.shiftKey ? CORNERS.se : ["left", "top", "right", "bottom"];
  const next = moved(current, sides, arrow[0] * step, arrow[1] * step);
  if (next.right - next.left < LEAST || next.bottom - next.top < LEAST) return;
  remember();
  Object.assign(current, next, { found: true });
  paint();
}

function drawn() {
  remember();
  add(0.4, 0.4, 0.6, 0.6).element.focus();
}

function toLabel() {
  $("boxes-label").focus();
  $("boxes-label").select();
}

/* ---- saving ---- */

async function save() {
  relabel();
  const kept = boxes.filter((box) => box.found);
  if (kept.some((box) => !box.label)) return tell(t("Name the label of each box."), "bad");
  const corrected = kept.map(({ label, left, top, right, bottom }) => ({ label, left, top, width: right - left, height: bottom - top }));
  const said = await working($("boxes-save"), () => post(path("review", String(about.id), "boxes"), { boxes: corrected }));
  if (!said.ok) return tell(t("Not applied: {error}.", { error: words(said) }), "bad");
  $("boxes-dialog").close();
  tell(plural(kept.length, "{n} box saved: the next version learns from it", "{n} boxes saved: the next version learns from them"));
  done(said.answered);
}

export function beginBoxes() {
  const stage = $("boxes-stage");
  stage.addEventListener("pointerdown", pressed);
  stage.addEventListener("pointermove", dragged);
  stage.addEventListener("pointerup", released);
  stage.addEventListener("pointercancel", released);
  $("boxes-dialog").addEventListener("keydown", keyed);
  $("boxes-dialog").addEventListener("close", () => { $("boxes-picture").removeAttribute("src"); drag = null; });
  $("boxes-label").addEventListener("change", relabel);
  $("boxes-form").addEventListener("submit", (event) => { event.preventDefault(); relabel(); (current?.element ?? stage).focus(); });
  $("boxes-new").addEventListener("click", drawn);
  $("boxes-accept").addEventListener("click", accept);
  $("boxes-delete").addEventListener("click", remove);
  $("boxes-undo").addEventListener("click", undo);
  $("boxes-save").addEventListener("click", save);
}
