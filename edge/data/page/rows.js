/** A list of any length of which only the rows that can be seen exist. */

import { make, set } from "./common.js";

const BEYOND = 6; // rows that exist above and below what can be seen
let rowsSoFar = 0;

export class Rows {
  /** ``paint(row, thing)`` fills a row for a thing; ``height`` of each row, in pixels. */
  constructor(box, height, paint) {
    this.box = box;
    this.height = height;
    this.paint = paint;
    this.things = [];
    this.current = 0;
    this.rows = new Map(); // thing -> row
    this.tall = set(make("div", "tall"), { role: "presentation" });
    box.replaceChildren(this.tall);
    // where the list is, known without asking: to ask in between makes the browser lay out the page once more
    this.top = this.room = 0;
    box.addEventListener("scroll", () => { this.top = box.scrollTop; this.soon(); }, { passive: true });
    new ResizeObserver(() => { this.room = box.clientHeight; this.soon(); }).observe(box);
  }

  /** Show ``things``; ``anew`` where what stands in a row may have changed. */
  show(things, current, anew = true) {
    this.things = things;
    this.current = current;
    if (anew) this.stale = true;
    this.tall.style.height = `${things.length * this.height}px`;
    this.soon();
  }

  soon() {
    this.asked ??= requestAnimationFrame(() => { this.asked = undefined; this.draw(); });
  }

  /** Scroll so that the current row can be seen. */
  reveal() {
    const top = this.current * this.height;
    if (top < this.top) this.box.scrollTop = this.top = top;
    else if (this.room && top + this.height > this.top + this.room) this.box.scrollTop = this.top = top + this.height - this.room;
  }

  /** Rows of one page. */
  get page() {
    return Math.max(1, Math.floor(this.room / this.height) - 1);
  }

  draw() {
    const first = Math.max(0, Math.floor(this.top / this.height) - BEYOND);
    const last = Math.min(this.things.length, Math.ceil((this.top + this.room) / this.height) + BEYOND);
    const wanted = new Map();
    for (let index = first; index < last; index++) wanted.set(this.things[index], index);
    if (this.current < this.things.length) wanted.set(this.things[this.current], this.current); // it is pointed at
    for (const [thing, row] of this.rows) {
      if (wanted.has(thing)) continue;
      this.rows.delete(thing);
      row.remove();
    }
    for (const [thing, index] of wanted) this.place(thing, index);
    this.stale = false;
  }

  place(thing, index) {
    let row = this.rows.get(thing);
    const fresh = !row;
    if (fresh) {
      row = set(make("div", "row"), { role: "option", id: `row-${++rowsSoFar}` });
      row.thing = thing;
      this.rows.set(thing, row);
    }
    row.style.transform = `translateY(${index * this.height}px)`;
    set(row, { "aria-setsize": this.things.length, "aria-posinset": index + 1 });
    if (fresh || this.stale) this.paint(row, thing);
    row.classList.toggle("current", index === this.current);
    if (index === this.current) this.box.setAttribute("aria-activedescendant", row.id);
    if (fresh) this.tall.append(row);
  }
}
