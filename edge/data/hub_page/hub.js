/** The page of the fleet: what the hub says of itself, and its parts. */

import { $, hooks } from "./common.js";
import * as devices from "./devices.js";
import * as events from "./events.js";
import * as people from "./people.js";
import * as releases from "./releases.js";
import * as review from "./review.js";
import { Shell } from "./shell.js";
import * as texts from "./words.js";

const { t } = texts;

function show(state) {
  document.title = `${state.name} · edge hub`;
  $("hub").textContent = state.name;
  const parts = [t("{n} of {all} devices online", { n: state.online, all: state.devices })];
  if (state.troubled) parts.unshift(texts.plural(state.troubled, "{n} device with a problem", "{n} devices with problems"));
  shell.say(parts.join(" · "), state.troubled ? "warn" : "");
  review.show(state.review);
}

hooks.unanswered = "the hub did not answer";
await texts.begin();
const parts = { devices, events, people, review, releases };
const shell = new Shell({
  parts,
  every: 5000,
  patience: 10000,
  silent: t("the hub did not answer"),
  hint: t("It is page.token in the settings of this hub."),
  show,
});
for (const part of [devices, events, people, releases]) part.begin();
review.begin({
  sure: t("The devices are sure of what they saw, or share no questions. Give a device its key with edge hub review key DEVICE."),
  off: t("This hub cannot ask its devices. It needs their broker and its key, from edge hub key FILE:"),
  example: "[mqtt]\nhost = \"broker.lan\"\n\n[hub]\nkey = \"/etc/edge/hub.key\"",
});
shell.begin();
