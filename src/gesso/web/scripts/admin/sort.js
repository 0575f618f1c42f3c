// Rows that can be dragged into another order by their handle. Without a script, and for the keyboard, every row
// has its two buttons; this sends the same order to the same address.
import htmx from "htmx.org";

import { all, onContent } from "../lib/content.js";

let dragged = null;

onContent((root) => {
  for (const list of all(root, "[data-sortable]")) list.classList.add("is-sortable");
});

const rowOf = (target) => (target instanceof Element ? target.closest("[data-sortable] > [data-key]") : null);

document.addEventListener("pointerdown", ({ target }) => {
  const row = rowOf(target);
  if (row) row.draggable = Boolean(target.closest("[data-handle]"));
});

document.addEventListener("dragstart", (event) => {
  dragged = rowOf(event.target);
  if (!dragged) return;
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", dragged.dataset.key);
  dragged.classList.add("is-dragged");
});

function unmark() {
  for (const row of document.querySelectorAll(".is-over-before, .is-over-after")) {
    row.classList.remove("is-over-before", "is-over-after");
  }
}

/** Whether the pointer is over the lower half of a row. */
function below(row, event) {
  const box = row.getBoundingClientRect();
  return event.clientY > box.top + box.height / 2;
}

document.addEventListener("dragover", (event) => {
  const row = rowOf(event.target);
  if (!dragged || !row || row.parentElement !== dragged.parentElement) return;
  event.preventDefault();
  unmark();
  if (row !== dragged) row.classList.add(below(row, event) ? "is-over-after" : "is-over-before");
});

document.addEventListener("drop", (event) => {
  const row = rowOf(event.target);
  if (!dragged || !row || row === dragged || row.parentElement !== dragged.parentElement) return;
  event.preventDefault();
  below(row, event) ? row.after(dragged) : row.before(dragged);
  send(dragged.parentElement);
});

document.addEventListener("dragend", () => {
  unmark();
  dragged?.classList.remove("is-dragged");
  dragged = null;
});

/** The whole order, as a form would send it; the page comes back with its new numbers. */
function send(list) {
  const keys = [...list.querySelectorAll(":scope > [data-key]")].map((row) => row.dataset.key);
  htmx.ajax("POST", list.dataset.sortable, {
    // an element without fields: what stands in the rows is not part of the order
    source: list.querySelector("[data-handle]"),
    target: "#main",
    select: "#main",
    swap: "outerHTML",
    values: { keys: keys.join(",") },
  });
}
