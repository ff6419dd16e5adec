/** What is kept of the queue and for how long, and its deletion. */

import { $, count, make, post, tell, words } from "./common.js";

/** ``told``: what the device says of its queue. */
export function kept(told) {
  const pictures = told.crops ? "its embedding and its picture" : "its embedding, and no picture";
  const lines = [
    `Of each doubtful look the device keeps ${pictures}, until it is answered and for ${told.days} days at most; the oldest of more than ${told.most.toLocaleString("en")} go.`,
    `What was answered is kept for ${told.days} days, so that it can be exported (${count(told.answered, "answer")} now, ${count(told.pictures, "picture")}). Nothing of it leaves the device.`,
  ];
  const key = JSON.stringify([lines, told.enabled, told.crops, told.waiting]);
  if ($("review-kept").dataset.key === key) return;
  $("review-kept").dataset.key = key;
  $("review-kept").replaceChildren(...lines.map((text) => make("p", "", text)));
  if (told.enabled && !told.crops) {
    $("review-kept").append(make("p", "", "", "Pictures are off. ", make("code", "", "crops = true"), " in ", make("code", "", "[review]"),
      " of the settings keeps them from the next reload on; a question is easier to answer with one."));
  }
  $("review-delete").disabled = !told.waiting && !told.answered;
}

/** Delete the queue, once somebody has said so; ``gone(answered)`` afterwards. */
export async function deleteAll(gone) {
  const answered = $("delete-answered").checked;
  $("delete-dialog").close();
  const said = await post("/page/review/delete", { answered });
  if (!said.ok) return tell(words(said), "bad");
  tell(`${count(said.deleted, "entry", "entries")} deleted`);
  gone(answered);
}

export function askDelete(told) {
  $("delete-words").textContent = `${count(told.waiting, "question")} will be deleted without an answer. What was learned stays: enrolled faces, and what is held away from a name.`;
  $("delete-answered").checked = false;
  $("delete-answered-words").textContent = `also ${count(told.answered, "answer")} with ${count(told.pictures, "picture")}`;
  $("delete-dialog").showModal();
}
