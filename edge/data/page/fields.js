/** Fields of a form, made from the settings' schema. */

import { settings } from "./changes.js";
import { make, set, tell } from "./common.js";
import { described, t } from "./words.js";

/** A part of the schema without references; ``key`` of its description: ``Class.field``, else its own class. */
export function resolve(part, key = "") {
  const name = part.$ref?.split("/").at(-1);
  const found = name ? { name, ...settings().schema.$defs[name] } : part.allOf ? resolve(part.allOf[0]) : part;
  const english = part.description ?? found.description;
  return { ...found, description: described(key || found.name, english?.replace(/^\[+[^\]]*\]+:\s*/, "")) };
}

/** Fields of all settings of a section: ``id`` and ``value`` of a name, ``changed`` hears its name and a new value. */
export function fieldsOf(section, names, { id, value, changed }) {
  return names.map((name) => fieldOf(id(name), name, resolve(section.properties[name], `${section.name}.${name}`), value(name), (given) => changed(name, given)));
}

/** A setting with its description; ``changed`` hears a value that was given. */
function fieldOf(id, name, part, value, changed) {
  const control = controlOf(part, value);
  control.id = id;
  control.addEventListener("change", () => {
    const given = valueOf(control, part);
    if (given !== undefined) changed(given);
  });
  const label = set(make("label", "", name), { for: id });
  const about = make("p", "hint", part.description);
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
  if (part.type === "integer" || part.type === "number" || (part.enum && typeof part.enum[0] === "number")) return Number(control.value);
  if (part.type === "string" || part.enum) return control.value === "" && part.default !== "" ? null : control.value;
  if (control.value.trim() === "") return null;
  try { return JSON.parse(control.value); } catch { tell(t("expected JSON: a number, a text in quotes, a list"), "bad"); return undefined; }
}
