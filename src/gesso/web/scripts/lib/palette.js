// The command palette (Ctrl-K, or "/"): a combobox over a list of options, as the ARIA authoring guide has it.
// The options are in the page (templates/_palette.html): data-href goes somewhere, data-run does something.
import { toggleTheme } from "./theme.js";

const dialog = document.getElementById("palette");

const COMMANDS = {
  theme: toggleTheme,
  "sign-out": () => document.getElementById("sign-out").requestSubmit(),
};

if (dialog) {
  const input = dialog.querySelector("input");
  const list = dialog.querySelector('[role="listbox"]');
  const options = [...list.querySelectorAll('[role="option"]')];
  const search = list.querySelector("[data-search]");
  const visible = () => options.filter((option) => !option.hidden);

  const mark = (option) => {
    for (const other of options) other.setAttribute("aria-selected", String(other === option));
    if (option) {
      input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  };

  const filter = () => {
    const words = input.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    for (const option of options) {
      const text = `${option.textContent} ${option.dataset.words ?? ""}`.toLowerCase();
      option.hidden = option === search ? !words.length : !words.every((word) => text.includes(word));
    }
    if (search) search.querySelector("[data-part]").textContent = input.value.trim();
    for (const group of list.querySelectorAll('[role="group"]')) {
      group.hidden = !group.querySelector('[role="option"]:not([hidden])');
    }
    mark(visible()[0]);
  };

  const run = (option) => {
    if (!option) return;
    dialog.close();
    if (option.dataset.run) COMMANDS[option.dataset.run]();
    else if (option === search) location.assign(`${search.dataset.search}?q=${encodeURIComponent(input.value.trim())}`);
    else location.assign(option.dataset.href);
  };

  const open = () => {
    if (dialog.open) return;
    input.value = "";
    filter();
    dialog.showModal();
    input.focus();
  };

  input.addEventListener("input", filter);
  input.addEventListener("keydown", (event) => {
    const shown = visible();
    const at = shown.findIndex((option) => option.getAttribute("aria-selected") === "true");
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 };
    if (event.key in moves && shown.length && !(event.shiftKey && /Home|End/.test(event.key))) {
      event.preventDefault();
      mark(shown[(moves[event.key] + shown.length) % shown.length]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(shown[at]);
    }
  });
  list.addEventListener("pointermove", ({ target }) => {
    const option = target.closest('[role="option"]');
    if (option && option.getAttribute("aria-selected") !== "true") mark(option);
  });
  list.addEventListener("click", ({ target }) => run(target.closest('[role="option"]')));

  document.addEventListener("click", ({ target }) => {
    if (target.closest("[data-palette]")) open();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    const asked = (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) || (event.key === "/" && !typing);
    if (!asked || document.querySelector("dialog:modal:not(#palette)")) return;
    event.preventDefault();
    if (dialog.open) dialog.close();
    else open();
  });
}
