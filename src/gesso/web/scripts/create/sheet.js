// On phones the composer is a sheet over the tabs; its chips open the rest of it.
import { composer } from "./composer.js";

function open(name) {
  const form = composer();
  form.classList.add("is-open");
  form.elements.sheet.value = "1";
  const part = document.getElementById(name);
  part?.scrollIntoView({ block: "center" });
  // not the prompt: a phone would bring its keyboard and cover what was asked for
  const field = part?.querySelector("input:checked, input") ?? part ?? form.querySelector("[data-sheet-close]");
  field.focus({ preventScroll: true });
}

function close() {
  const form = composer();
  form.classList.remove("is-open");
  form.elements.sheet.value = "";
}

document.addEventListener("click", ({ target }) => {
  const chip = target.closest("[data-sheet]");
  if (chip) open(chip.dataset.sheet);
  if (target.closest("[data-sheet-close]")) {
    close();
    document.querySelector("[data-sheet]").focus();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !composer()?.classList.contains("is-open") || event.target.closest("dialog")) return;
  close();
});

// once asked, the results are what one wants to see
document.addEventListener("gesso:created", close);
