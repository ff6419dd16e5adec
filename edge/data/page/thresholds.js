/** Labels and their thresholds, with what another threshold would have named in the last day. */

import { change, settings } from "./changes.js";
import { $, ask, dates, make, portrait, tell, words } from "./common.js";
import { fieldsOf, resolve } from "./fields.js";
import { plural, t } from "./words.js";

const PAUSE = 200; // milliseconds after a move of the slider
const SHOWN = 12; // appearances that change, in the list
let turn = 0;
let pause = 0;

const label = () => $("label-name").value;
const recognized = () => Boolean(settings().values.labels[label()]?.embedder);

export function show() {
  const names = Object.keys(settings().values.labels);
  const now = label();
  $("label-name").replaceChildren(...names.map((name) => Object.assign(make("option", "", name), { value: name })));
  $("label-name").value = names.includes(now) ? now : names.includes("face") ? "face" : names[0];
  choose();
}

function choose() {
  const one = settings().values.labels[label()];
  const section = resolve({ $ref: "#/$defs/LabelSettings" });
  $("label-fields").replaceChildren(...fieldsOf(section, Object.keys(section.properties), {
    id: (name) => `label-${name}`, value: (name) => one[name], changed: (name, value) => change(["labels", label(), name], value),
  }));
  $("threshold").hidden = !recognized();
  if (!recognized()) return;
  $("threshold-value").value = one.similarity ?? 90;
  preview(one.similarity === null);
}

/** ``first``: the threshold in force is not known yet, and the answer has it. */
async function preview(first = false) {
  const now = ++turn;
  const answer = await ask(`page/settings/thresholds?${new URLSearchParams({ label: label(), likeness: $("threshold-value").value })}`).catch(() => null);
  if (now !== turn || !answer) return;
  const said = await answer.json();
  if (!answer.ok) return tell(words(said), "bad");
  if (first && said.needed !== null) {
    $("threshold-value").value = said.needed;
    if (Number($("threshold-value").value) !== 90) return preview();
  }
  const likeness = Number($("threshold-value").value);
  $("threshold-said").textContent = t("{n} of 100: one false match in {many} comparisons with strangers.", { n: likeness, many: said.one_in });
  $("threshold-now").textContent = said.needed === null ? "" : t("In force: {n} of 100.", { n: said.needed });
  $("threshold-count").textContent = said.appearances
    ? t("In the last day {named} of {all} appearances had a name; {would} would have had one.", { named: said.named, all: said.appearances, would: said.would_be_named })
    : t("Nothing was looked at in the last day, or no history is kept.");
  const lines = said.changed.slice(0, SHOWN).map(line);
  if (said.changed.length > SHOWN) lines.push(make("li", "none", plural(said.changed.length - SHOWN, "and {n} more", "and {n} more")));
  $("threshold-changed").replaceChildren(...lines);
}

function line(one) {
  const name = (subject) => subject ?? t("without a name");
  return make("li", "", "", portrait(one.picture ? `page/history/${one.id}/picture.jpg` : "", "", one.after ?? one.before ?? ""),
    make("span", "", "", make("b", one.after ? "who known" : "who", `${name(one.before)} → ${name(one.after)}`), make("small", "", `${one.camera}, ${dates.moment.format(one.started * 1000)}`)));
}

function add(event) {
  event.preventDefault();
  const name = $("label-new").value.trim();
  if (!name) return;
  change(["labels", name], {});
  $("label-new").value = "";
}

export function begin() {
  $("label-name").addEventListener("change", choose);
  $("threshold-value").addEventListener("input", () => { clearTimeout(pause); pause = setTimeout(preview, PAUSE); });
  $("threshold-set").addEventListener("click", () => change(["labels", label(), "similarity"], Number($("threshold-value").value)));
  $("threshold-auto").addEventListener("click", () => change(["labels", label(), "similarity"], null));
  $("label-form").addEventListener("submit", add);
}
