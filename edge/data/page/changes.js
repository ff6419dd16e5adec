/** Pending changes of settings: shown as a diff, applied together, undone with one button. */

import { $, ask, make, post, tell, words } from "./common.js";
import { readSettings, t } from "./words.js";

const AGAIN = 1500; // milliseconds after a change until the settings are read anew
let told = null; // what the device says of its settings
let changes = new Map(); // path as JSON -> value
let fresh = () => {}; // draws the settings anew
let turn = 0;

export const settings = () => told;
export const pending = (path) => changes.get(JSON.stringify(path));
export const onFresh = (draw) => { fresh = draw; };

/** Read the settings anew; what waited is dropped. */
export async function load() {
  const [answer] = await Promise.all([ask("page/settings").catch(() => null), readSettings()]);
  const said = await answer?.json();
  if (!answer?.ok) return said && tell(words(said), "bad");
  told = said;
  changes = new Map();
  $("settings-path").textContent = told.path;
  $("settings-undo").disabled = !told.undoable;
  $("settings-diff").hidden = true;
  fresh();
}

/** Set a value, or remove it by null. */
export function change(path, value) {
  changes.set(JSON.stringify(path), value);
  preview();
}

/** The same of a camera. Where the file names none, the one that is there by default is written down first. */
export function changeCamera(index, path, value) {
  if (told.cameras) return change(["cameras", index, ...path], value);
  const whole = structuredClone(pending(["cameras", 0]) ?? { name: told.values.cameras[0].name });
  let place = whole;
  for (const key of path.slice(0, -1)) place = place[key] ??= {};
  if (value === null) delete place[path.at(-1)]; else place[path.at(-1)] = value;
  change(["cameras", 0], whole);
}

/** Removals come last, the last entry of a list first: the others keep their places meanwhile. */
function asked() {
  const rows = [...changes].map(([path, value]) => ({ path: JSON.parse(path), value }));
  const removal = ({ path, value }) => value === null && typeof path.at(-1) === "number";
  const removals = rows.filter(removal).sort((one, other) => other.path.at(-1) - one.path.at(-1));
  return { base: told.base, changes: [...rows.filter((row) => !removal(row)), ...removals] };
}

async function preview() {
  const now = ++turn;
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
  setTimeout(load, AGAIN);
}

async function undo() {
  const said = await post("page/settings/undo");
  if (!said.ok) return tell(words(said), "bad");
  tell(t("The last change is undone."));
  setTimeout(load, AGAIN);
}

export function begin() {
  $("settings-apply").addEventListener("click", apply);
  $("settings-drop").addEventListener("click", load);
  $("settings-undo").addEventListener("click", undo);
}
