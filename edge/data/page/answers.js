/** Answers on their way to the device, and which of them can be taken back. */

import { post, words } from "./common.js";

const AT_ONCE = 50; // answers of one request
const ABOUT = ["confirm", "reject"]; // answers about the name that is shown

export class Answers {
  /** ``settled(given, outcomes)`` after each request, ``done()`` after the last one. */
  constructor(settled, done) {
    this.settled = settled;
    this.done = done;
    this.unsent = [];
    this.sending = null;
    this.taken = new Set(); // ids that the device took: a list that was asked for before may still have them
    this.groups = []; // {ids} that can be taken back together, the last one last
  }

  get busy() {
    return this.unsent.length > 0 || this.sending !== null;
  }

  /** Whether a question was answered here. */
  has(id) {
    return this.taken.has(id) || this.unsent.some(({ item }) => item.id === id);
  }

  /** ``given``: {item, answer, subject, force} of each question; they are taken back together. */
  give(given) {
    const group = { ids: [] };
    this.groups.push(group);
    for (const one of given) this.unsent.push({ ...one, group });
    this.sending ??= this.send().finally(() => { this.sending = null; });
  }

  /** Questions that were answered by something else than an answer, all taken back with the first of them. */
  took(ids) {
    this.groups.push({ ids: ids.slice(0, 1), others: ids.slice(1) });
    for (const id of ids) this.taken.add(id);
  }

  async send() {
    while (this.unsent.length) {
      const part = this.unsent.slice(0, AT_ONCE);
      // the name that was shown, for the device may think of another one by now
      const answers = part.map(({ item, answer, subject, force }) => ({ id: item.id, answer, force, subject: subject || (ABOUT.includes(answer) && item.subject) || "" }));
      const said = await post("page/review/answers", { answers });
      this.unsent = this.unsent.slice(part.length);
      const outcomes = said.outcomes ?? part.map(({ item: { id } }) => ({ id, ok: false, code: "failed", error: words(said) }));
      outcomes.forEach(({ id, ok, code }, index) => {
        if (ok) part[index].group.ids.push(id);
        if (ok || code === "gone") this.taken.add(id);
      });
      this.settled(part, outcomes);
    }
    this.groups = this.groups.filter((one) => one.ids.length);
    this.done();
  }

  /** Take the last group back. The outcomes, those that are ``ok`` with their question; none where nothing is left. */
  async undo() {
    await this.sending;
    const { ids = [], others = [] } = this.groups.pop() ?? {};
    for (const id of others) this.taken.delete(id);
    const back = [];
    for (let first = 0; first < ids.length; first += AT_ONCE) {
      const said = await post("page/review/undo", { ids: ids.slice(first, first + AT_ONCE) });
      back.push(...(said.outcomes ?? [{ ok: false, error: words(said) }]));
    }
    for (const { ok, question } of back) if (ok && question) this.taken.delete(question.id);
    return back;
  }
}
