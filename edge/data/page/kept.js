/** What is kept of the queue and for how long, and its deletion. */

import { $, make, post, tell, words } from "./common.js";
import { confirmed } from "./dialogs.js";
import { plural, t } from "./words.js";

const answersOf = (told) => plural(told.answered, "{n} answer", "{n} answers");
const picturesOf = (told) => plural(told.pictures, "{n} picture", "{n} pictures");

/** ``told``: what the device says of its queue. */
export function kept(told) {
  const values = { days: told.days, most: told.most, answers: answersOf(told), pictures: picturesOf(told) };
  const lines = [
    told.crops ? t("Of each uncertain look the device keeps the embedding and the picture until it is answered, for {days} days and {most} looks at most.", values)
      : t("Of each uncertain look the device keeps the embedding and no picture until it is answered, for {days} days and {most} looks at most.", values),
    t("Answers are kept for {days} days for export ({answers}, {pictures} now). Nothing of it leaves the device.", values),
  ];
  const key = JSON.stringify([lines, told.enabled, told.crops, told.waiting]);
  if ($("review-kept").dataset.key === key) return;
  $("review-kept").dataset.key = key;
  $("review-kept").replaceChildren(...lines.map((text) => make("p", "", text)));
  if (told.enabled && !told.crops) {
    $("review-kept").append(make("p", "", "", t("Pictures are off.") + " ", make("code", "", "crops = true"), " ", make("code", "", "[review]"),
      " " + t("keeps them; a question is easier to answer with one.")));
  }
  $("review-delete").disabled = !told.waiting && !told.answered;
}

/** Delete the queue, once somebody confirms it; ``gone(answered)`` afterwards. */
export async function deleteAll(told, gone) {
  const left = plural(told.waiting, "{n} question will be deleted without an answer. What was learned stays: enrolled faces and rejected names.", "{n} questions will be deleted without an answer. What was learned stays: enrolled faces and rejected names.");
  const answers = t("also {answers} with {pictures}", { answers: answersOf(told), pictures: picturesOf(told) });
  const also = Object.assign(make("input"), { type: "checkbox", id: "delete-answered" });
  const about = [make("p", "", left), make("label", "check", "", also, " ", make("span", "", answers))];
  if (!await confirmed(t("Delete all questions?"), t("Delete"), { about, danger: true })) return;
  const answered = also.checked;
  const said = await post("page/review/delete", { answered });
  if (!said.ok) return tell(words(said), "bad");
  tell(plural(said.deleted, "{n} entry deleted", "{n} entries deleted"));
  gone(answered);
}
