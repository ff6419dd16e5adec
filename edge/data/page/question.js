/** One question: what was seen beside the nearest who are enrolled, why it is asked, and what can be answered. */

import { $, button, dates, make, nearness, portrait, set } from "./common.js";
import { plural, t, told } from "./words.js";

const MOSAIC = 9; // pictures of a group that are shown
const ALL = ["confirm", "rename", "new", "reject", "discard"];

export const nearestOf = (item) => item.nearest[0]?.likeness ?? -1;
/** The answers that a question can have. */
export const able = (item) => {
  const can = item.answers ?? ALL;
  return item.subject ? can : can.filter((answer) => answer !== "confirm" && answer !== "reject");
};
export const when = dates.moment;
export const reasonOf = (item) => t(item.reason.replaceAll("_", " "));
const lookPicture = (look) => (look.picture ? `page/review/${look.id}/picture.jpg` : "");
export const pictureOf = (item) => lookPicture(item.looks[0]);
export const looksOf = (item) => (item.looks.length > 1 ? plural(item.looks.length, "{n} look", "{n} looks") : "");

export function titleOf(item) {
  if (item.pseudonym) return t("Who is {name}?", { name: item.pseudonym });
  if (item.version) return item.subject ? t("Does it show {name}?", { name: item.subject }) : t("What does it show?");
  return item.subject ? t("Is it {name}?", { name: item.subject }) : t("Who is it?");
}

/** Why it is asked, in a sentence. */
function whyOf(item) {
  const [best, second] = item.nearest;
  const n = best && Math.round(best.likeness);
  const line = Math.round(item.match_likeness ?? 0);
  const values = { name: best?.subject, n, line, other: second?.subject, m: second && Math.round(second.likeness), label: t(item.label), version: item.version, named: item.named };
  const sentences = {
    uncertain: !best ? t("The looks are too weak for a name.")
      : best.likeness >= line ? t("One look matches {name} ({n}), the others do not agree.", values)
        : t("The looks resemble {name}, but too little: {n} of 100, and a match begins at {line}.", values),
    margin: second ? t("{name} ({n}) and {other} ({m}) are almost equally near.", values) : t("Two subjects are almost equally near."),
    unmatched: best ? t("Nobody enrolled matches: the nearest is {name} with {n} of 100, and a match begins at {line}.", values)
      : t("The collection has nobody to compare with."),
    retracted: item.named ? t("The device named {named}, and a later look disproved it.", values) : t("The device gave a name, and a later look disproved it."),
    audit: t("A sample: the device is sure that this is {name}. Is it right?", { name: item.subject }),
    faint: best ? t("Low confidence: this may be no {label} at all. If it is one, the nearest is {name} with {n} of 100.", values)
      : t("Low confidence: this may be no {label} at all.", values),
    threshold: item.subject ? t("The custom labels {version} are not sure of {named}.", values) : t("The custom labels {version} are not sure.", values),
  };
  return sentences[item.reason] ?? t("Reason: {reason}.", { reason: reasonOf(item) });
}

/** ``group``: the questions that are answered together, or null; ``can`` does what a person asks for. */
export function question(item, group, can) {
  const key = JSON.stringify([item, group?.length, group?.slice(0, MOSAIC).map((one) => one.id)]);
  const place = $("question");
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  can.leave();
  $("question-title").textContent = group ? together(group) : titleOf(item);
  const where = [item.camera, when.format(item.time * 1000), t(item.label), looksOf(item), item.version && t("custom labels {version}", { version: item.version })];
  $("question-where").textContent = where.filter(Boolean).join(" · ");
  $("question-why").textContent = whyOf(item);
  $("question-where").hidden = $("question-why").hidden = Boolean(group);
  refusal(item, group, can);
  sides(item, group, can);
  actions(item, group, can);
}

function together(group) {
  const names = new Set(group.map((item) => item.subject ?? ""));
  const [first] = names;
  const n = group.length;
  if (names.size > 1) return t("{n} questions at once, about {m} subjects", { n, m: names.size });
  return first ? t("{n} questions at once, about {name}", { n, name: first }) : t("{n} questions at once", { n });
}

function refusal(item, group, can) {
  const box = $("question-refused");
  box.hidden = !item.refused || Boolean(group);
  if (box.hidden) return;
  const { answer, subject, device, code } = item.refused;
  const error = [device, told(item.refused.error)].filter(Boolean).join(": ");
  const name = subject || item.subject;
  box.replaceChildren(make("p", "", t("Not applied: {error}.", { error })));
  if (code === "refused") {
    box.append(make("p", "hint", t("Adding it to {name} would make names less reliable. Give another answer, or discard it.", { name })),
      set(button(t("Add it to {name} anyway", { name }), "F", () => can.give(answer, subject, true), "plain"), { "data-forced": "" }));
  }
}

/** The picture that is asked about, beside the nearest that are enrolled. */
function sides(item, group, can) {
  const seen = group ? several(group) : make("div", "seen-looks", "", ...item.looks.map((look) => lookOf(item, look, can)));
  const near = item.nearest.map((one, index) => {
    const source = one.picture ? `page/portraits/${one.picture}.jpg` : "";
    const missing = item.version ? "" : t("no picture kept");
    const caption = make("figcaption", "", "", make("b", "", one.subject),
      make("span", "value", "", nearness(one.likeness, item.match_likeness), make("small", "", String(Math.round(one.likeness)))));
    if (one.picture && !one.same_face) caption.append(make("small", "", t("another picture")));
    const tile = make("button", `face near${one.subject === item.subject ? " asked" : ""}`, "", portrait(source, "", one.subject, missing), caption);
    tile.type = "button";
    if (index < 9) tile.prepend(set(make("kbd", "", String(index + 1)), { "aria-hidden": "true" }));
    tile.addEventListener("click", () => can.pick(index));
    return tile;
  });
  const none = item.nearest.length ? [] : [make("p", "none", item.version ? t("No label is near.") : t("Nobody enrolled is near."))];
  $("question-seen").replaceChildren(seen);
  $("question-near").replaceChildren(...near, ...none);
  $("question-near-title").textContent = item.version ? t("What the labels say") : group ? t("Nearest to the current question") : t("Nearest enrolled subjects");
  $("question-match").hidden = item.match_likeness === null || !item.nearest.length;
  $("question-match").textContent = item.match_likeness === null ? "" : t("The line on each bar is at {line}: a match begins there.", { line: Math.round(item.match_likeness) });
}

/** One look of the face in question; where there are several, one that shows another face can be taken out. */
function lookOf(item, look, can) {
  const text = t("quality {n} %", { n: Math.round(100 * look.quality) });
  const figure = make("figure", "face seen-face", "", portrait(lookPicture(look), t("the face in question"), "", t("no picture kept")),
    make("figcaption", "", "", make("small", "", item.looks.length > 1 ? when.format(look.time * 1000) : text)));
  if (item.looks.length > 1) {
    const out = button(t("Another face"), "", () => can.split(look.id), "plain small");
    out.title = t("This look shows another face: make it a question by itself");
    figure.lastChild.append(out);
  }
  return figure;
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
  const asked = group ? group.some((each) => each.subject) : Boolean(name);
  const yes = one("confirm", name ? t("Yes, {name}", { name }) : t("Yes, as asked"), "C", () => can.give("confirm"), "main");
  const no = one("reject", item.version ? t("None of the labels") : name ? t("Not {name}", { name }) : t("Not this subject"), "X", () => can.give("reject"), "plain");
  const another = one("rename", item.version ? t("Another label") : asked ? t("Another subject") : t("Enrolled subject"), "R", () => can.name("rename"), "plain");
  const added = one("new", item.version ? t("New label") : t("New subject"), "N", () => can.name("new"), asked ? "plain" : "main");
  const rest = [one("discard", item.version ? t("Discard") : t("Ignore"), "D", () => can.give("discard"), "plain"), button(t("Skip"), "S", () => can.step(1), "plain quiet")];
  if (item.boxes && !group) rest.unshift(button(t("Correct the boxes"), "B", can.boxes, "plain"));
  // where nobody matches, nothing that gives a name is one key away
  $("question-actions").replaceChildren(...(asked ? [yes, no, another, added, ...rest] : [added, another, ...rest]));
}
