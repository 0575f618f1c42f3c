// Filters, search and row height change the wall in place; as links and forms they work by themselves too.
import htmx from "htmx.org";

import { justify } from "../lib/rows.js";
import { settle } from "./wall.js";

const PAUSE = 300;
const YEAR = 365 * 24 * 3600;
let typing;

/** Show the gallery at `address` instead of what is there, keeping focus and what is open. */
export async function show(address) {
  clearTimeout(typing);
  history.replaceState(history.state, "", address);
  // of several asked for while one is under way only the last counts (hx-sync on the page)
  const target = document.getElementById("gallery-page");
  await htmx.ajax("GET", address, { source: target, target, swap: "innerMorph" });
  settle();
}

function addressOf(form) {
  const given = [...new FormData(form)].filter(([, value]) => value);
  return given.length ? `/gallery?${new URLSearchParams(given)}` : "/gallery";
}

document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  const link = event.target.closest("a[data-filter], a[data-rows]");
  if (!link) return;
  event.preventDefault();
  link.closest("[popover]")?.hidePopover();
  if (link.dataset.rows) setRows(link);
  else show(link.getAttribute("href"));
});

function setRows(link) {
  const height = link.dataset.rows;
  document.cookie = `gesso_rows=${height}; path=/; max-age=${YEAR}; samesite=lax`;
  const gallery = document.getElementById("gallery");
  for (const other of link.parentElement.children) {
    gallery.classList.toggle(`rows--${other.dataset.rows}`, other === link);
    if (other === link) other.setAttribute("aria-current", "true");
    else other.removeAttribute("aria-current");
  }
  for (const box of gallery.querySelectorAll(".rows")) justify(box);
}

document.addEventListener("input", ({ target }) => {
  if (target.id !== "gallery-q") return;
  clearTimeout(typing);
  typing = setTimeout(() => show(addressOf(target.form)), PAUSE);
});

document.addEventListener(
  "submit",
  (event) => {
    if (!["gallery-search", "gallery-dates"].includes(event.target.id)) return;
    event.preventDefault();
    document.querySelector("#filter-period:popover-open")?.hidePopover();
    show(addressOf(event.target));
  },
  true,
);
