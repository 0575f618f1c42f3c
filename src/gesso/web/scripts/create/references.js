// Pictures to work from: dropped, pasted or chosen, each sent at once. The form then holds their ids.
import { icon } from "../lib/icon.js";
import { toast } from "../lib/toast.js";
import { quote } from "./composer.js";
import { word } from "../lib/words.js";

const KINDS = ["image/png", "image/jpeg", "image/webp", "image/avif"];

function part() {
  return document.getElementById("references");
}

function tell(text, detail) {
  toast({ text, detail, kind: "bad" });
}

/** How many there are is said in the legend; the drop zone goes when there is room for no more. */
function recount() {
  const box = part();
  const count = box.querySelectorAll(".slot").length;
  const most = Number(box.dataset.most);
  box.querySelector("[data-filled]").textContent = count ? `${count} of ${most}` : "optional";
  box.querySelector(".drop").hidden = count >= most;
  if (count) mend(box);
  quote();
}

/** There is one now: that there was none is no longer said, neither here nor above the form. */
function mend(box) {
  box.querySelector(".error")?.remove();
  const named = document.querySelector('#composer-errors a[href="#references"]');
  (named?.closest("li:not(:only-child)") ?? named?.closest(".errors"))?.remove();
}

function removeButton(name) {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-label", `Remove ${name}`);
  button.append(icon("x"));
  return button;
}

/** A slot that shows the picture at once, from the reader's own disk. */
function addSlot(file) {
  const slot = document.createElement("div");
  slot.className = "slot slot--busy";
  const image = new Image(60, 60);
  image.alt = file.name;
  image.src = URL.createObjectURL(file);
  slot.append(image, removeButton(file.name));
  part().querySelector(".drop").before(slot);
  return slot;
}

async function send(file) {
  const slot = addSlot(file);
  recount();
  const body = new FormData();
  body.append("file", file);
  let answer = null;
  try {
    answer = await fetch("/api/media/uploads", { method: "POST", body, headers: { Accept: "application/json" } });
  } catch {
    tell("No answer from the server", "Check your connection and add it again.");
  }
  const found = await answer?.json().catch(() => null);
  if (!answer?.ok || !found?.id) {
    if (answer) tell(`${file.name} was not taken`, found?.detail ?? "Try again in a moment.");
    slot.remove();
  } else {
    slot.classList.remove("slot--busy");
    slot.id = `slot-${found.id}`;
    slot.append(idField(found.id));
  }
  URL.revokeObjectURL(slot.querySelector("img").src);
  if (found?.thumbnails) slot.querySelector("img").src = found.thumbnails["320"];
  if (part()) recount();
}

/** One of the reader's own that is kept here already. */
export function add({ id, name, src }) {
  const box = part();
  if (document.getElementById(`slot-${id}`)) return;
  if (box.querySelectorAll(".slot").length >= Number(box.dataset.most)) {
    // where only one fits, choosing another means that one
    if (Number(box.dataset.most) > 1) {
      tell(`No room for more ${word("pictures")}`, `This model takes ${box.dataset.most}. Remove one first.`);
      return;
    }
    box.querySelector(".slot").remove();
  }
  const slot = document.createElement("div");
  Object.assign(slot, { className: "slot", id: `slot-${id}` });
  const image = new Image(60, 60);
  Object.assign(image, { alt: name, src });
  slot.append(image, removeButton(name), idField(id));
  box.querySelector(".drop").before(slot);
  recount();
}

function idField(id) {
  const field = document.createElement("input");
  return Object.assign(field, { type: "hidden", name: "references", value: id, autocomplete: "off" });
}

function take(files) {
  const box = part();
  if (!box) return;
  const limit = Number(box.dataset.megabytes);
  let room = Number(box.dataset.most) - box.querySelectorAll(".slot").length;
  for (const file of files) {
    if (!KINDS.includes(file.type)) tell(`${file.name} cannot be read`, "Take a PNG, JPEG, WebP or AVIF.");
    else if (file.size > limit * 2 ** 20) tell(`${file.name} is too large`, `A file may have at most ${limit} MB.`);
    else if (room-- <= 0) {
      tell(`No room for more ${word("pictures")}`, `This model takes ${box.dataset.most}. Remove one first.`);
      return;
    } else send(file);
  }
}

document.addEventListener("change", ({ target }) => {
  if (target.id !== "upload") return;
  take([...target.files]);
  // they are on their way: the form must not carry them a second time
  target.value = "";
});

document.addEventListener("click", (event) => {
  const slot = event.target.closest(".slot button")?.closest(".slot");
  if (!slot || !part()?.contains(slot)) return;
  event.preventDefault();
  slot.remove();
  recount();
  document.getElementById("upload").focus();
});

document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (!files.length) return;
  if (!part()) {
    tell(`This model takes no ${word("pictures")}`, "Choose one that works from them, then paste again.");
    return;
  }
  event.preventDefault();
  take(files);
});

// the whole composer is a target, so that nobody has to aim
let depth = 0;

function carriesFiles(event) {
  return event.dataTransfer?.types.includes("Files") && document.getElementById("composer")?.contains(event.target);
}

function glow(on) {
  part()?.querySelector(".drop").classList.toggle("is-over", on);
}

document.addEventListener("dragenter", (event) => {
  if (carriesFiles(event)) glow(++depth > 0);
});
document.addEventListener("dragleave", (event) => {
  if (carriesFiles(event)) glow(--depth > 0);
});
document.addEventListener("dragover", (event) => {
  if (carriesFiles(event)) event.preventDefault();
});
document.addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  depth = 0;
  glow(false);
  take([...event.dataTransfer.files]);
});
