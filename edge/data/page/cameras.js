/** Cameras of the settings: found, tried, added, changed, removed. */

import { changeCamera, change, settings } from "./changes.js";
import { $, ask, button, make, post, words, working } from "./common.js";
import { confirmed } from "./dialogs.js";
import { fieldsOf, resolve } from "./fields.js";
import { t } from "./words.js";

const DRAWN = ["zones", "masks"]; // fields that are drawn on the picture instead
const KINDS = { libcamera: "ribbon cable", v4l2: "USB", onvif: "network" };
let edited = -1; // place of the camera in the form; -1: a new one
let given = {}; // what was changed in the form of a camera that exists
let service = ""; // of the ONVIF camera that is asked for its streams

export function show() {
  const cameras = settings().values.cameras;
  $("camera-list").replaceChildren(...cameras.map((one, index) => {
    const edit = button(t("Edit"), "", () => open(index), "plain small");
    edit.setAttribute("aria-label", t("Edit {name}", { name: one.name }));
    const remove = button(t("Remove"), "", async () => {
      if (!await confirmed(t("Remove the camera {name}? Its history stays.", { name: one.name }), t("Remove"), { danger: true })) return;
      line.classList.add("gone");
      edit.disabled = remove.disabled = true;
      change(["cameras", index], null);
    }, "plain small danger");
    remove.setAttribute("aria-label", t("Remove {name}", { name: one.name }));
    remove.disabled = !settings().cameras || cameras.length < 2;
    const line = make("li", "", "", make("b", "", one.name), make("small", "", one.enabled ? settings().sources[index] : t("off")), edit, remove);
    return line;
  }));
  $("camera-card").hidden = true;
}

function open(index) {
  edited = index;
  given = {};
  const fresh = index < 0;
  $("camera-card").hidden = false;
  $("camera-new-form").hidden = !fresh;
  $("camera-edit").hidden = fresh;
  $("camera-add").hidden = !fresh;
  $("camera-picture").hidden = true;
  $("camera-said").textContent = "";
  $("camera-found").replaceChildren();
  $("camera-login").hidden = true;
  $("camera-title").textContent = fresh ? t("Add a camera") : t("Camera {name}", { name: settings().values.cameras[index].name });
  $("camera-fields").replaceChildren(...(fresh ? [] : fields(index)));
  $("camera-title").focus();
}

function fields(index) {
  const section = resolve({ $ref: "#/$defs/CameraSettings" });
  return fieldsOf(section, Object.keys(section.properties).filter((name) => !DRAWN.includes(name)), {
    id: (name) => `camera-${index}-${name}`,
    value: (name) => settings().values.cameras[index][name],
    changed: (name, value) => {
      given[name] = value;
      changeCamera(index, [name], value);
    },
  });
}

/* ---- search ---- */

async function search() {
  $("camera-said").textContent = t("searching: this takes some seconds");
  const said = await working($("camera-search"), () => post("page/cameras/search"));
  if (!said.ok) { $("camera-said").textContent = words(said); return; }
  $("camera-said").textContent = [said.cameras.length ? "" : t("No camera was found. Write the address of an RTSP camera by hand."), ...said.problems].filter(Boolean).join(" ");
  $("camera-found").replaceChildren(...said.cameras.map((one) => {
    const use = button(t("Use"), "", () => choose(one), "plain small");
    use.setAttribute("aria-label", t("Use {name}", { name: one.name }));
    const where = one.used ? t("in use as {name}", { name: one.used }) : [t(KINDS[one.kind]), one.source].join(" · ");
    return make("li", "", "", make("b", "", one.name), make("small", "", where), use);
  }));
}

function choose(one) {
  service = one.service;
  $("camera-source").value = one.source;
  $("camera-login").hidden = !service;
  changed();
  (service ? $("camera-user") : $("camera-name")).focus();
}

async function streams(event) {
  event.preventDefault();
  $("camera-said").textContent = t("asking the camera");
  const said = await post("page/cameras/streams", { service, user: $("camera-user").value, password: $("camera-password").value });
  if (!said.ok) { $("camera-said").textContent = words(said); return; }
  $("camera-said").textContent = t("Choose a stream; 640 to 1280 pixels of width are enough.");
  $("camera-streams").replaceChildren(...said.streams.map((one) => make("li", "", "", button(one.width ? `${one.width} × ${one.height}` : t("stream"), "", () => {
    $("camera-source").value = one.source;
    changed();
    $("camera-name").focus();
  }, "plain small"))));
}

/* ---- test picture ---- */

const changed = () => { $("camera-add").disabled = true; };

async function test() {
  $("camera-said").textContent = t("opening the camera: this takes up to 15 seconds");
  const wanted = edited < 0
    ? { name: $("camera-name").value.trim(), source: $("camera-source").value.trim() }
    : { ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null)), name: settings().values.cameras[edited].name };
  const sent = { method: "POST", headers: { "X-Edge-Page": "1" }, body: JSON.stringify(wanted) };
  const answer = await working($("camera-test"), () => ask("page/cameras/test", sent).catch(() => null));
  const good = answer?.ok;
  $("camera-said").textContent = good ? t("This is what the camera sees.") : words(answer ? await answer.json() : { error: t("the device did not answer") });
  $("camera-picture").hidden = !good;
  $("camera-add").disabled = !good;
  if (!good) return;
  URL.revokeObjectURL($("camera-picture").src);
  $("camera-picture").src = URL.createObjectURL(await answer.blob());
}

function add(event) {
  event.preventDefault();
  if ($("camera-add").disabled) return;
  change(["cameras", settings().cameras], { name: $("camera-name").value.trim(), source: $("camera-source").value.trim() });
}

export function begin() {
  $("camera-new").addEventListener("click", () => open(-1));
  $("camera-search").addEventListener("click", search);
  $("camera-login").addEventListener("submit", streams);
  $("camera-form").addEventListener("submit", add);
  $("camera-test").addEventListener("click", test);
  $("camera-close").addEventListener("click", () => { $("camera-card").hidden = true; });
  for (const field of ["camera-name", "camera-source"]) $(field).addEventListener("input", changed);
}
