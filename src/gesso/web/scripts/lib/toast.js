// Toasts. From the server: the HX-Trigger header {"gesso:toast": {text, kind, detail, undo}}, or drawn into
// the page after a redirect. From scripts: toast({...}).
import htmx from "htmx.org";

import { icon } from "./icon.js";

const ICONS = { ok: "check", bad: "triangle-alert", info: "info" };
const STAY = 6000;

/**
 * Show a toast.
 * @param {object} message
 * @param {string} message.text one short sentence, what happened
 * @param {string} [message.detail] what it means, or what to do
 * @param {"info"|"ok"|"bad"} [message.kind] "bad" stays until it is dismissed
 * @param {string} [message.undo] an address to POST to; adds an Undo button
 */
export function toast({ text, detail = "", kind = "info", undo = "" }) {
  const box = document.createElement("div");
  box.className = `toast toast--${kind}`;
  box.setAttribute("role", kind === "bad" ? "alert" : "status");
  const words = document.createElement("div");
  const title = document.createElement("b");
  title.textContent = text;
  words.append(title);
  if (detail) {
    const more = document.createElement("p");
    more.textContent = detail;
    words.append(more);
  }
  box.append(icon(ICONS[kind] ?? "info"), words, undo ? undoButton(undo) : closeButton());
  const toasts = document.getElementById("toasts");
  // the same trouble once more takes the place of what was said of it
  for (const other of toasts?.querySelectorAll(".toast--bad") ?? []) {
    if (kind === "bad" && other.textContent === box.textContent) other.remove();
  }
  toasts?.append(box);
  if (kind !== "bad") leaveLater(box);
}

function closeButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn--ghost btn--icon btn--sm";
  button.setAttribute("aria-label", "Dismiss");
  button.dataset.dismiss = "";
  button.append(icon("x"));
  return button;
}

function undoButton(address) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn--ghost btn--sm";
  button.textContent = "Undo";
  button.dataset.undo = address;
  return button;
}

/** Take the toast away after a while, but not while someone reads it or is on it with the keyboard. */
function leaveLater(box) {
  let timer = setTimeout(() => box.remove(), STAY);
  const hold = () => clearTimeout(timer);
  const release = () => {
    clearTimeout(timer);
    timer = setTimeout(() => box.remove(), STAY / 2);
  };
  box.addEventListener("pointerenter", hold);
  box.addEventListener("focusin", hold);
  box.addEventListener("pointerleave", release);
  box.addEventListener("focusout", release);
}

document.addEventListener("gesso:toast", (event) => toast(event.detail));

document.addEventListener("click", async ({ target }) => {
  const address = target.closest("[data-undo]")?.dataset.undo;
  if (address) {
    target.closest(".toast").remove();
    await htmx.ajax("POST", address, { source: document.body, swap: "none" });
    document.dispatchEvent(new CustomEvent("gesso:undone", { detail: { address } }));
  }
  target.closest("[data-dismiss]")?.closest(".toast, .notice, .errors")?.remove();
});

for (const box of document.querySelectorAll("#toasts .toast:not(.toast--bad)")) leaveLater(box);
