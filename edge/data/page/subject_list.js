/** The enrolled subjects of the chosen collection: searched while somebody types, part by part, with the estimate of false names. */

import { $, ask, fill, make, path } from "./common.js";
import { plural, t } from "./words.js";

const PAUSE = 250; // milliseconds after a key in the search field
const PAIRS = 3; // of subjects, that are named

/** ``line(subject)`` makes an entry of ``list``; ``nobody``: what stands there where nobody is enrolled. */
export class SubjectList {
  constructor(list, line, nobody) {
    Object.assign(this, { list, line, nobody });
    this.shown = [];
    this.turn = 0;
    let pause = 0;
    $("people-search").addEventListener("input", () => { clearTimeout(pause); pause = setTimeout(() => this.load(), PAUSE); });
    $("people-more").addEventListener("click", () => this.load(true));
    $("people-collection").addEventListener("change", () => this.load());
  }

  get collection() {
    return $("people-collection").value;
  }

  /** What can be chosen. */
  choices(names) {
    fill($("people-collection"), names, (name) => make("option", "", name));
  }

  /** The first subjects that fit what is searched for, or those after the shown ones. */
  async load(next = false) {
    const { collection } = this;
    if (!collection) return this.draw([], { all: 0, total: 0, more: false });
    const turn = ++this.turn;
    const query = new URLSearchParams({ like: $("people-search").value.trim(), after: next ? this.shown.length : 0 });
    const answer = await ask(`${path("people", collection)}?${query}`).catch(() => null);
    if (!answer?.ok || turn !== this.turn) return;
    const said = await answer.json();
    this.draw(next ? [...this.shown, ...said.subjects] : said.subjects, said);
    if (!next) this.risk(collection, said.all);
  }

  draw(subjects, { all, total, more }) {
    this.shown = subjects;
    $("people-count").textContent = total === all ? plural(all, "{n} subject", "{n} subjects") : t("{n} of {all} subjects", { n: total, all });
    const none = make("li", "none", all ? t("No subject has this name.") : this.nobody);
    this.list.replaceChildren(...(subjects.length ? subjects.map(this.line) : [none]));
    $("people-more").hidden = !more;
  }

  /** How often a stranger would get a name of this collection, and which subjects are easily confused. */
  async risk(collection, all) {
    const answer = all ? await ask(path("people", collection, "risk")).catch(() => null) : null;
    const found = answer?.ok ? await answer.json() : {};
    if (collection !== this.collection) return;
    $("people-risk").hidden = !found.false_names;
    if (!found.false_names) return;
    const pairs = found.confusable.slice(0, PAIRS).map((pair) => t("{one} and {other}", { one: pair.subject, other: pair.other }));
    const looks = Math.round(Number((1 / found.false_names).toPrecision(2)));
    const lines = [t("Estimate: a stranger gets a name about once in {n} looks; a match begins at {line} of 100.", { n: looks, line: found.needed })];
    if (pairs.length) lines.push(t("Easily confused: {pairs}.", { pairs: pairs.join(", ") }));
    $("people-risk").textContent = lines.join(" ");
  }
}
