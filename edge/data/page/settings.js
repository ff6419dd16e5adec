/** Settings: zones and masks, cameras, thresholds, and a form of every other setting. */

import * as cameras from "./cameras.js";
import * as changes from "./changes.js";
import { $, make } from "./common.js";
import { fieldsOf, resolve } from "./fields.js";
import * as shapes from "./shapes.js";
import * as thresholds from "./thresholds.js";

export const enter = () => changes.load();

function sections() {
  const { schema } = changes.settings();
  const names = Object.entries(schema.properties).filter(([, part]) => resolve(part).properties).map(([name]) => name);
  const now = $("section").value;
  $("section").replaceChildren(...names.map((name) => make("option", "", name)));
  if (names.includes(now)) $("section").value = now;
  fields();
}

function fields() {
  const name = $("section").value;
  const { schema, values } = changes.settings();
  const section = resolve(schema.properties[name]);
  $("section-about").textContent = section.description;
  $("section-fields").replaceChildren(...fieldsOf(section, Object.keys(section.properties), {
    id: (field) => `setting-${name}-${field}`, value: (field) => values[name][field], changed: (field, value) => changes.change([name, field], value),
  }));
}

export function begin() {
  changes.begin();
  shapes.begin();
  cameras.begin();
  thresholds.begin();
  $("section").addEventListener("change", fields);
  changes.onFresh(() => { sections(); shapes.show(); cameras.show(); thresholds.show(); });
}
