/** One question: what was seen beside the nearest who are enrolled, why it is asked, and what can be answered. */

import { $, button, count, make, nearness, portrait, set } from "./common.js";

const MOSAIC = 9; // pictures of a group that are shown
const ALL = ["confirm", "rename", "new", "reject", "discard"];

export const nearestOf = (item) => item.nearest[0]?.similarity ?? -1;
/** The answers that a question can have. */
export const able = (item) => {
  const can = item.answers ?? ALL;
  return item.subject ? can : can.filter((answer) => answer !== "confirm" && answer !== "reject");
};
export const when = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false });
export const reasonOf = (item) => item.reason.replaceAll("_", " ");
export const titleOf = (item) => item.question ?? (item.subject ? `Is it ${item.subject}?` : "Who is it?");
export const pictureOf = (item) => (item.picture ? `/page/review/${item.id}/picture.jpg` : "");

/** ``group``: the questions that are answered together, or null; ``can`` does what a person asks for. */
export function question(item, group, can) {
  const key = JSON.stringify([item, group?.length, group?.slice(0, MOSAIC).map((one) => one.id)]);
  const place = $("question");
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  can.leave();
  $("question-title").textContent = group ? together(group) : titleOf(item);
  const where = [item.camera, when.format(item.time * 1000), item.label, item.track && `track ${item.track}`, item.version && `custom labels ${item.version}`, ...(item.details ?? []).map(([name, value]) => `${name} ${value}`)];
  $("question-where").textContent = where.filter(Boolean).join(" · ");
  $("question-why").textContent = item.why ?? `The device asks because of: ${reasonOf(item)}.`;
  $("question-where").hidden = $("question-why").hidden = Boolean(group);
  refusal(item, group, can);
  sides(item, group, can);
  actions(item, group, can);
}

function together(group) {
  const names = new Set(group.map((item) => item.subject ?? "nobody"));
  return `${count(group.length, "question")} at once, about ${names.size === 1 ? [...names][0] : `${names.size} subjects`}`;
}

function refusal(item, group, can) {
  const box = $("question-refused");
  box.hidden = !item.refused || Boolean(group);
  if (box.hidden) return;
  const { answer, subject, error, code } = item.refused;
  const name = subject || item.subject;
  box.replaceChildren(make("p", "", `Not applied: ${error}.`));
  if (code === "refused") {
    box.append(make("p", "hint", `To add this look to ${name} would make names less sure. Answer otherwise, or discard it.`),
      button(`Add it to ${name} all the same`, "F", () => can.give(answer, subject, true), "plain"));
  }
}

/** The picture that is asked about, beside the nearest that are enrolled. */
function sides(item, group, can) {
  const seen = group ? several(group) : make("figure", "face seen-face", "", portrait(pictureOf(item), "the picture in question", "", "no picture kept"),
    make("figcaption", "", "", make("b", "", "Seen"), make("small", "", `quality ${Math.round(100 * item.quality)} %`)));
  const near = item.nearest.map((one, index) => {
    const source = one.picture ? `/page/portraits/${one.picture}.jpg` : "";
    const missing = item.version ? "" : "no picture kept";
    const caption = make("figcaption", "", "", make("b", "", one.subject),
      make("span", "value", "", nearness(one.similarity, item.match), make("small", "", one.similarity.toFixed(2))));
    if (one.picture && !one.same_face) caption.append(make("small", "", "other picture"));
    const tile = make("button", `face near${one.subject === item.subject ? " asked" : ""}`, "", portrait(source, "", one.subject, missing), caption);
    tile.type = "button";
    if (index < 9) tile.prepend(set(make("kbd", "", String(index + 1)), { "aria-hidden": "true" }));
    tile.addEventListener("click", () => can.pick(index));
    return tile;
  });
  const none = item.nearest.length ? [] : [make("p", "none", item.version ? "No label is near." : "Nobody enrolled is near.")];
  $("question-seen").replaceChildren(seen);
  $("question-near").replaceChildren(...near, ...none);
  $("question-near-title").textContent = item.version ? "What the labels say" : group ? "Nearest to the current one" : "Nearest who are enrolled";
  $("question-match").hidden = item.match === null || item.match === undefined || !item.nearest.length;
  $("question-match").textContent = item.match ? `The mark on each bar is ${item.match.toFixed(2)}: from there on it is a match.` : "";
}

function several(group) {
  const shown = group.slice(0, group.length > MOSAIC ? MOSAIC - 1 : MOSAIC).map((item) => portrait(pictureOf(item), titleOf(item), item.subject));
  if (group.length > MOSAIC) shown.push(make("span", "portrait blank", "", make("b", "", `+${group.length - MOSAIC + 1}`)));
  return make("div", "mosaic", "", ...shown);
}

function actions(item, group, can) {
  const one = (answer, text, key, does, kind) => {
    const made = button(text, key, does, kind);
    made.disabled = !(group ?? [item]).some((each) => able(each).includes(answer));
    made.dataset.answer = answer;
    return made;
  };
  const name = group ? null : item.subject;
  $("question-actions").replaceChildren(
    one("confirm", name ? `Yes, ${name}` : group ? "Yes, as asked" : "Yes", "C", () => can.give("confirm"), "main"),
    one("reject", item.version ? "None of the labels" : name ? `Not ${name}` : "Not this person", "X", () => can.give("reject"), "plain"),
    one("rename", item.version ? "Another label" : "Somebody else", "R", () => can.name("rename"), "plain"),
    one("new", item.version ? "New label" : "New subject", "N", () => can.name("new"), "plain"),
    one("discard", "Discard", "D", () => can.give("discard"), "plain"),
    button("Skip", "S", () => can.step(1), "plain quiet"),
  );
}
