// Select mode: ticks on tiles, the bar's verbs. Without this it is a form with checkboxes and three buttons.
import { send } from "./send.js";
import { removeTiles } from "./tiles.js";

const LIMIT = 200;
const HOLD = 450;
let last = null;
let held = null;
let swallow = false;

const form = () => document.getElementById("gallery");
const selecting = () => form()?.classList.contains("is-selecting");
const picks = () => [...(form()?.querySelectorAll(".tile__pick") ?? [])];

function setMode(on) {
  form().classList.toggle("is-selecting", on);
  form().querySelector("[data-select]")?.setAttribute("aria-pressed", String(on));
  if (!on) for (const pick of picks()) setPick(pick, false);
  last = null;
  tell();
}

function setPick(pick, on) {
  pick.checked = on;
  pick.closest(".tile").classList.toggle("is-selected", on);
}

function tell() {
  const count = picks().filter((pick) => pick.checked).length;
  const words = count > LIMIT ? `${count} selected, at most ${LIMIT} at once` : `${count} selected`;
  form().querySelector("[data-selected]").textContent = count ? words : "Nothing selected";
  for (const button of form().querySelectorAll("[data-verb]")) button.disabled = !count || count > LIMIT;
}

/** Tick one; with Shift everything between it and the last one ticked. */
function toggle(pick, range) {
  const all = picks();
  const on = !pick.closest(".tile").classList.contains("is-selected");
  const ends = [all.indexOf(pick), range && last ? all.indexOf(last) : -1];
  if (ends[1] < 0) ends[1] = ends[0];
  for (const one of all.slice(Math.min(...ends), Math.max(...ends) + 1)) setPick(one, on);
  last = pick;
  tell();
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-select]")) {
    event.preventDefault();
    setMode(!selecting());
    return;
  }
  if (event.target.closest("[data-select-end]")) {
    event.preventDefault();
    setMode(false);
    return;
  }
  const pick = event.target.closest("#gallery .tile__pick");
  const link = event.target.closest("#gallery .tile__link");
  if (pick) {
    // the box has changed by itself already; its tile says what was
    if (!selecting()) setMode(true);
    toggle(pick, event.shiftKey);
  } else if (link && (swallow || selecting())) {
    event.preventDefault();
    if (!swallow) toggle(link.parentElement.querySelector(".tile__pick"), event.shiftKey);
  }
  swallow = false;
});

// a long touch selects, a tap opens
document.addEventListener("pointerdown", (event) => {
  swallow = false;
  const link = event.pointerType === "touch" && event.target.closest("#gallery .tile__link");
  if (!link) return;
  held = setTimeout(() => {
    swallow = true;
    if (!selecting()) setMode(true);
    toggle(link.parentElement.querySelector(".tile__pick"), false);
  }, HOLD);
});
for (const name of ["pointerup", "pointercancel", "pointermove", "scroll"]) {
  document.addEventListener(name, () => clearTimeout(held), { passive: true, capture: true });
}
document.addEventListener("contextmenu", (event) => {
  if (swallow && event.target.closest("#gallery .tile__link")) event.preventDefault();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && selecting() && !document.querySelector("dialog[open], :popover-open")) setMode(false);
});

document.addEventListener(
  "submit",
  async (event) => {
    const verb = event.submitter?.dataset.verb;
    if (event.target.id !== "gallery" || !verb) return;
    event.preventDefault();
    const address = event.submitter.formAction;
    if (verb === "download") {
      // sent without the event: the page stays, so its button must not be busy for ever
      event.target.action = address;
      event.target.submit();
      return;
    }
    const chosen = picks().filter((pick) => pick.checked);
    const done = await send(address, new FormData(event.target));
    if (!done) return;
    setMode(false);
    for (const pick of verb === "favourite" ? chosen : []) pick.closest(".tile").toggleAttribute("data-favourite", true);
    if (verb === "delete") removeTiles(chosen.map((pick) => pick.closest(".tile")), done.undo);
  },
  true,
);
