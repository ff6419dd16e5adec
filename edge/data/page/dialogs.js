/** A question before something is done that is not taken back easily. */

import { make, set } from "./common.js";
import { t } from "./words.js";

/** Whether somebody confirms it. ``yes``: the button that does it; ``about``: elements with more; ``danger``: nothing brings it back. */
export function confirmed(question, yes, { about = [], danger = false } = {}) {
  const does = Object.assign(make("button", danger ? "danger" : "", yes), { id: "sure-yes", type: "button", autofocus: !danger });
  const not = Object.assign(make("button", "plain close", t("Cancel")), { type: "button", autofocus: danger });
  const dialog = make("dialog", "", "", set(make("h2", "", question), { id: "sure-title" }), ...about, make("div", "actions", "", does, not));
  set(dialog, { id: "sure-dialog", "aria-labelledby": "sure-title" });
  document.body.append(dialog);
  return new Promise((resolve) => {
    does.addEventListener("click", () => dialog.close("yes"));
    not.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    dialog.showModal();
  });
}
