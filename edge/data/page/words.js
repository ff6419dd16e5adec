/** Texts of the page in the language of the reader. English is written in the source; other languages are files. */

export const LANGUAGES = { en: "English", de: "Deutsch", ja: "日本語" };
const SAVED = "edge.language";
const ATTRIBUTES = ["aria-label", "placeholder", "title", "alt"];
let table = {};

export const language = () => {
  const wanted = [localStorage.getItem(SAVED), ...navigator.languages].filter(Boolean).map((one) => one.slice(0, 2));
  return wanted.find((one) => one in LANGUAGES) ?? "en";
};

/** A text in the language of the reader; ``{name}`` in it stands for a value. */
export function t(text, values = {}) {
  return (table[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

let patterns = null; // of the texts with numbered values, the longest text first

/** A text of the device, which speaks English: by the table, whole or with values at ``{1}``, ``{2}``; else as it is. */
export function told(text) {
  if (!text || text in table) return t(text);
  patterns ??= Object.keys(table).filter((key) => key.includes("{1}")).sort((one, other) => other.length - one.length)
    .map((key) => [key, new RegExp(`^${key.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{\d\}/g, "(.+)")}$`)]);
  for (const [key, pattern] of patterns) {
    const found = pattern.exec(text);
    if (found) return t(key, Object.fromEntries(found.slice(1).map((value, index) => [index + 1, table[value] ?? value])));
  }
  return text;
}

/** ``{n}`` of something: one text for 1, the other for any other number. */
export const plural = (n, one, many, values = {}) => t(n === 1 ? one : many, { n: n.toLocaleString(language()), ...values });

/** Load the texts, and translate what the document holds. */
export async function begin() {
  const code = language();
  document.documentElement.lang = code;
  if (code === "en") return;
  const answer = await fetch(`page/lang/${code}.json`).catch(() => null);
  if (answer?.ok) table = await answer.json();
  translate(document.body);
}

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
