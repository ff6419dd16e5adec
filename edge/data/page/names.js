/** A field for a name that knows who is enrolled: type ahead, choose, or write a new one. */

import { ask, faces as facesOf, make, path, set } from "./common.js";
import { t } from "./words.js";

const SHOWN = 8;
const known = new Map(); // collection -> {subjects, total}, until somebody new comes
let fields = 0;

/** Who is enrolled, as far as the device lists it at once. */
export async function subjectsOf(collection) {
  if (!collection) return { subjects: [], total: 0 };
  if (!known.has(collection)) known.set(collection, await listed(collection, ""));
  return known.get(collection);
}

export function forgetNames() {
  known.clear();
}

async function listed(collection, like) {
  const answer = await ask(`${path("collections", collection)}?like=${encodeURIComponent(like)}`).catch(() => null);
  return answer?.ok ? answer.json() : { subjects: [], total: 0 };
}

/** The field and its list; ``chosen(name, exists)`` when somebody has decided. */
export class NameField {
  constructor(input, { chosen = () => {}, changed = () => {}, eager = false } = {}) {
    this.input = input;
    this.eager = eager; // names are offered before anything is typed
    this.chosen = chosen;
    this.changed = changed;
    this.options = [];
    this.at = -1;
    this.collection = "";
    this.asked = 0;
    this.list = make("ul", "options");
    this.list.id = `names-${++fields}`;
    set(this.list, { role: "listbox", "aria-label": t("Known names") });
    this.list.hidden = true;
    input.after(this.list);
    set(input, {
      role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": this.list.id,
      autocomplete: "off", spellcheck: "false", maxlength: "255",
    });
    input.addEventListener("input", () => { this.at = -1; this.look(); this.changed(); });
    input.addEventListener("focus", () => this.look());
    input.addEventListener("blur", () => setTimeout(() => this.close(), 150));
    input.addEventListener("keydown", (event) => this.key(event));
  }

  get name() {
    return this.input.value.trim();
  }

  /** Start anew and take the focus, with names to offer before anything is typed; ``choices`` instead of subjects. */
  async open(collection, first = [], choices = null) {
    this.collection = collection;
    this.choices = choices && { subjects: choices.map((subject) => ({ subject })), total: choices.length };
    this.first = first;
    this.input.value = "";
    this.at = -1;
    this.input.focus();
    await this.look();
  }

  /** Whether a subject of this name is enrolled, as far as is known here. */
  async exists(name) {
    const { subjects, total } = this.choices ?? (await subjectsOf(this.collection));
    if (subjects.some((one) => one.subject === name)) return true;
    return total > subjects.length && (await listed(this.collection, name)).subjects.some((one) => one.subject === name);
  }

  async look() {
    const turn = ++this.asked;
    if (!this.eager && !this.name) { this.options = []; return this.draw(); }
    const typed = this.name.toLowerCase();
    const all = this.choices ?? (await subjectsOf(this.collection));
    const more = typed && all.total > all.subjects.length ? await listed(this.collection, typed) : all;
    if (turn !== this.asked) return; // something else was typed meanwhile
    const beginning = (one) => (one.subject.toLowerCase().startsWith(typed) ? 0 : 1);
    const near = typed ? [] : (this.first ?? []).map((subject) => more.subjects.find((one) => one.subject === subject)).filter(Boolean);
    const fitting = more.subjects.filter((one) => one.subject.toLowerCase().includes(typed) && !near.includes(one));
    this.options = [...near, ...fitting.sort((a, b) => beginning(a) - beginning(b))].slice(0, SHOWN);
    this.draw();
  }

  draw() {
    const open = this.options.length > 0 && document.activeElement === this.input;
    this.list.hidden = !open;
    this.input.setAttribute("aria-expanded", String(open));
    this.input.removeAttribute("aria-activedescendant");
    this.list.replaceChildren(...this.options.map(({ subject, faces }, index) => {
      const option = make("li", index === this.at ? "current" : "", "", make("span", "", subject), make("small", "", faces === undefined ? "" : facesOf(faces)));
      option.id = `${this.list.id}-${index}`;
      set(option, { role: "option", "aria-selected": String(index === this.at) });
      if (index === this.at) this.input.setAttribute("aria-activedescendant", option.id);
      option.addEventListener("mousedown", (event) => { event.preventDefault(); this.take(subject); });
      return option;
    }));
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
  }

  take(subject) {
    this.input.value = subject;
    this.close();
    this.changed();
    this.chosen(subject);
  }

  key(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      const places = this.options.length + 1; // one of them is what was typed
      this.at = ((this.at + 1 + step + places) % places) - 1;
      this.draw();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (this.at >= 0) this.take(this.options[this.at].subject);
      else if (this.name) { this.close(); this.chosen(this.name); }
    } else if (event.key === "Tab" && !this.list.hidden && this.at < 0 && this.name && this.options.length === 1 && this.name !== this.options[0].subject) {
      event.preventDefault();
      this.input.value = this.options[0].subject;
      this.changed();
      this.look();
    }
  }
}
