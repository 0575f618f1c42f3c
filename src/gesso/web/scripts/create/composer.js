// The composer: a live price, controls that follow the model, and the keyboard. The form itself is htmx's.
import htmx from "htmx.org";

const PAUSE = 250;
const RETRY = 3000;

export function composer() {
  return document.getElementById("composer");
}

let timer;

/** Ask for the price again, once the reader pauses. */
export function quote() {
  clearTimeout(timer);
  timer = setTimeout(() => htmx.trigger(document.getElementById("quote"), "gesso:quote"), PAUSE);
}

/** Put a prompt into the box, for the reader to go on from. */
function fill(prompt) {
  const box = document.getElementById("prompt");
  box.value = prompt;
  box.dispatchEvent(new Event("input", { bubbles: true }));
  box.focus();
  box.setSelectionRange(prompt.length, prompt.length);
}

/** A morph leaves what was chosen by hand; the server has sent everything back, so its word counts. */
function takeOver(form) {
  for (const field of form.elements) {
    if (field.type === "radio" || field.type === "checkbox") field.checked = field.defaultChecked;
    else if (field.tagName === "SELECT") for (const option of field.options) option.selected = option.defaultSelected;
    else if (field.type === "range" || field.type === "number") field.value = field.defaultValue;
  }
}

/** A wish that was granted: what was wrong with the form before is no longer said. */
function clearErrors(form) {
  for (const line of form.querySelectorAll(".error")) line.remove();
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  form.querySelector(".promptbox")?.classList.remove("is-invalid");
}

/** The price never depends on the prompt. */
function priced(event) {
  return event.target.closest("#composer") && event.target.name && event.target.name !== "prompt";
}

document.addEventListener("input", (event) => {
  if (priced(event) && ["number", "range", "text"].includes(event.target.type)) quote();
});

document.addEventListener("change", (event) => {
  const { target } = event;
  if (!target.closest("#composer")) return;
  if (target.dataset.pixels) document.querySelector(`[data-pixels-of="${target.name}"]`).textContent = target.dataset.pixels;
  // another model or style brings its controls and its price along
  if (priced(event) && !["model", "style"].includes(target.name) && target.type !== "file") quote();
});

// credits that came or went elsewhere change what is left after this
document.addEventListener("gesso:credits", quote);
document.addEventListener("gesso:resync", quote);

/** A price that could not be had must not leave an old one on the button; it is asked for until it comes. */
function unpriced({ detail }) {
  if (detail.ctx?.sourceElement?.id !== "quote") return;
  for (const price of document.querySelectorAll("#foot .price")) price.textContent = "…";
  clearTimeout(timer);
  timer = setTimeout(quote, RETRY);
}

document.addEventListener("htmx:error", unpriced);
document.addEventListener("htmx:response:error", unpriced);
addEventListener("online", quote);

document.addEventListener("htmx:after:settle", ({ target, detail }) => {
  if (target.id !== "composer") return;
  takeOver(target);
  const body = target.querySelector(".composer__body");
  if (target.querySelector("#composer-errors .errors")) body.scrollTop = 0;
  // filled in from a picture or a run: that is where one goes on
  if (!target.contains(detail.task.sourceElement)) {
    body.scrollTop = 0;
    target.querySelector("#prompt").focus({ preventScroll: true });
  }
});

document.addEventListener("gesso:created", () => {
  clearErrors(composer());
  document.querySelector(".results").scrollTo({ top: 0, behavior: "smooth" });
});

document.addEventListener("click", (event) => {
  const idea = event.target.closest("a[data-prompt]");
  if (idea && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    fill(idea.dataset.prompt);
  }
  if (event.target.closest("[data-all-models]")) {
    event.preventDefault();
    document.getElementById("all-models").showModal();
  }
  // a card in the dialog was pressed; arrow keys also click, but from nowhere
  if (event.target.matches?.("#all-models input") && (event.detail || event.clientX)) event.target.closest("dialog").close();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !composer()?.contains(event.target)) return;
  if (event.ctrlKey || event.metaKey) {
    event.preventDefault();
    composer().requestSubmit();
  } else if (event.target.closest("#all-models")) {
    event.preventDefault();
    event.target.closest("dialog").close();
  } else if (event.target.matches("input")) {
    // Enter in a small field would press the first button there is, such as “remove this picture”
    event.preventDefault();
  }
});

// the fold stays as the reader has it when another model's controls come
document.addEventListener(
  "toggle",
  ({ target }) => {
    if (target.id === "advanced") composer().elements.fold.value = target.open ? "1" : "0";
  },
  true,
);
