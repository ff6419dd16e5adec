/** Keyboard focus survives what a page replaces: where the focused element goes away, its successor is focused. */

const STOPS = "a[href], button:not(:disabled), input:not(:disabled, [type=hidden]), select:not(:disabled), summary, [tabindex]";
const GONE = "[hidden], dialog:not([open])";
let last = null; // the place that has the focus, until somebody leaves it for the bare page

const there = (element) => element.isConnected && !element.matches(":disabled") && !element.closest(GONE);
const stops = (root) => [...root.querySelectorAll(STOPS)].filter((one) => one.checkVisibility() && one.tabIndex >= 0);
/** What stays the same of an element that is drawn again. */
const keyOf = (element) => element.id || element.getAttribute("aria-label") || element.textContent;

/** An element in its surroundings; ``opener``: the place before, outside of the dialog that it is in. */
function placeOf(element) {
  const dialog = element.closest("dialog");
  const around = [];
  for (let root = element.parentElement; root && root !== document.body; root = root.parentElement) around.push({ root, index: stops(root).indexOf(element) });
  return { element, key: keyOf(element), around, dialog, opener: dialog && (last?.dialog === dialog ? last.opener : last) };
}

/** The element that stands where another one stood: the same one made anew, else the next one. */
function successor(place) {
  for (const { root, index } of place.around) {
    if (!there(root)) continue;
    const found = stops(root);
    const same = found.filter((one) => keyOf(one) === place.key).sort((one, other) => Math.abs(found.indexOf(one) - index) - Math.abs(found.indexOf(other) - index));
    // what cannot be taken back is never one habitual key away
    const next = [found[index], ...found.slice(0, Math.max(0, index)).reverse(), ...found.slice(index + 1)].find((one) => one && !one.matches(".danger, [data-forced]"));
    if (same[0] ?? next) return same[0] ?? next;
  }
  return null;
}

function recover() {
  if (!last || there(last.element)) return;
  const now = document.activeElement;
  if (now && now !== document.body && now !== last.element && there(now)) return;
  let place = last;
  while (place.opener && !place.dialog.open) place = place.opener;
  const next = there(place.element) ? place.element : successor(place);
  (next ?? document.querySelector("main:not([hidden])"))?.focus();
}

/** Somebody clicked beside everything: nothing is focused on purpose. */
function left({ target, relatedTarget }) {
  if (!relatedTarget) setTimeout(() => { if (last?.element === target && there(target) && document.hasFocus() && document.activeElement === document.body) last = null; });
}

/** Watch the whole document. */
export function begin() {
  addEventListener("focusin", ({ target }) => { last = placeOf(target); });
  addEventListener("focusout", left);
  new MutationObserver(recover).observe(document.body, { subtree: true, childList: true, attributeFilter: ["hidden", "disabled", "open"] });
  // a key that is held answers once
  addEventListener("keydown", (event) => { if (event.repeat && event.target.matches("button") && (event.key === "Enter" || event.key === " ")) event.preventDefault(); }, { capture: true });
  // a button at work keeps the focus, and takes no second press
  addEventListener("click", (event) => { if (event.target.closest?.("[aria-disabled=true]")) { event.preventDefault(); event.stopImmediatePropagation(); } }, { capture: true });
}
