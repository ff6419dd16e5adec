/** Texts of the page in the language of the reader. English is written in the source; other languages are files. */

export const LANGUAGES = { en: "English", de: "Deutsch", ja: "日本語" };
const SAVED = "edge.language";
const ATTRIBUTES = ["aria-label", "placeholder", "title", "alt"];
let table = {};
let settings = {}; // descriptions of settings by Class.field

export const language = () => {
  const wanted = [localStorage.getItem(SAVED), ...navigator.languages].filter(Boolean).map((one) => one.slice(0, 2));
  return wanted.find((one) => one in LANGUAGES) ?? "en";
};

const written = (value) => (typeof value === "number" ? value.toLocaleString(language()) : String(value));

/** A text in the language of the reader; ``{name}`` in it stands for a value. */
export function t(text, values = {}) {
  return (table[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? written(values[name]) : whole));
}

let patterns = null; // of the texts with numbered values, the most specific first

const literal = (key) => key.replace(/\{\d\}/g, "").length;

/** A text of the device, which speaks English: by the table, whole or with values at ``{1}``, ``{2}``; else as it is. */
export function told(text) {
  if (!text || text in table) return t(text);
  patterns ??= Object.keys(table).filter((key) => key.includes("{1}")).sort((one, other) => literal(other) - literal(one))
    .map((key) => [key, new RegExp(`^${key.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{\d\}/g, "([^]*?)")}$`)]);
  for (const [key, pattern] of patterns) {
    const found = pattern.exec(text);
    if (found) return t(key, Object.fromEntries(found.slice(1).map((value, index) => [index + 1, told(value)])));
  }
  return text;
}

/** ``{n}`` of something: one text for 1, the other for any other number. */
export const plural = (n, one, many, values = {}) => t(n === 1 ? one : many, { n, ...values });

async function read(file) {
  if (language() === "en") return {};
  const answer = await fetch(`page/lang/${file}.json`).catch(() => null);
  return answer?.ok ? answer.json() : {};
}

/** Load the texts, and translate what the document holds. */
export async function begin() {
  document.documentElement.lang = language();
  table = await read(language());
  if (language() !== "en") translate(document.body);
}

/** Load the descriptions of settings: English ones come with the schema. */
export async function readSettings() {
  settings = await read(`settings.${language()}`);
}

/** The description of a setting: ``key`` is ``Class.field`` or ``Class``, ``english`` that of the schema. */
export const described = (key, english = "") => settings[key] ?? english;

export function choose(code) {
  localStorage.setItem(SAVED, code);
  location.reload();
}

function translate(root) {
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const text = node.data.trim().replace(/\s+/g, " ");
    if (text in table) node.data = node.data.replace(node.data.trim(), table[text]);
  }
  for (const name of ATTRIBUTES) {
    for (const element of root.querySelectorAll(`[${name}]`)) element.setAttribute(name, t(element.getAttribute(name)));
  }
}
