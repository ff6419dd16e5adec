/** The page of a device: what it says of itself, and its parts. */

import { beginBoxes, openBoxes } from "./boxes.js";
import { $, duration, fill, make } from "./common.js";
import * as device from "./device.js";
import * as history from "./history.js";
import { deleteAll, kept } from "./kept.js";
import * as live from "./live.js";
import * as people from "./people.js";
import * as review from "./review.js";
import * as settings from "./settings.js";
import { Shell } from "./shell.js";
import * as subjects from "./subjects.js";
import * as texts from "./words.js";

const { t, plural } = texts;

function show(state) {
  document.title = `${state.device} · edge`;
  $("device").textContent = state.device;
  const problems = Object.entries(state.problems);
  const lost = state.cameras.filter((camera) => camera.state !== "live").length;
  const broker = live.brokerProblem(state);
  if (broker) problems.unshift(["", broker]);
  const said = [t("{n} of {all} cameras live", { n: state.cameras.length - lost, all: state.cameras.length }), t("up {time}", { time: duration(state.uptime) })];
  if (problems.length) said.unshift(plural(problems.length, "{n} problem", "{n} problems"));
  shell.say(said.join(" · "), problems.length || lost ? "warn" : "");
  $("problems").hidden = !problems.length;
  fill($("problems"), problems.map(([part, problem]) => (part ? `${texts.told(part)}: ${texts.told(problem)}` : problem)), (text) => make("p", "", text));
  live.show(state);
  live.listen();
  live.run();
  people.show(state);
  subjects.show(state);
  review.show(state.review);
}

await texts.begin();
const shell = new Shell({
  parts: { live: { enter: live.run }, history, people: subjects, review, settings, device },
  every: 2000,
  patience: 4000,
  silent: t("the device does not answer"),
  hint: t("It is page.token in the settings of this device."),
  show,
  turned: people.watch,
  lost() { live.lose(); people.lose(); },
  left: live.deaf,
});
for (const part of [device, settings, history, people, subjects]) part.begin();
beginBoxes();
review.begin({
  openBoxes, kept, deleteAll,
  sure: t("The device is sure of what it saw. Uncertain matches will wait here."),
  off: t("Uncertain matches are not kept. To be asked about them, set this and reload the daemon:"),
  example: "[review]\nenabled = true   # keeps the embedding of doubtful tracks\ncrops = true     # keeps their pictures as well",
});
document.addEventListener("visibilitychange", () => { if (document.hidden) live.deaf(true); });
shell.begin();
