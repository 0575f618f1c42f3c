// The calendar of months: its links jump in place, arrows go from month to month.
import { show } from "./filters.js";
import { monthInSight } from "./scrubber.js";

document.addEventListener("click", (event) => {
  const link = event.target.closest("#calendar [data-month]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  document.getElementById("calendar").hidePopover();
  show(link.getAttribute("href")).then(() => {
    document.getElementById("status").textContent = link.textContent;
  });
});

document.addEventListener("keydown", (event) => {
  const cell = event.target.closest?.("#calendar li");
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 4, ArrowUp: -4 }[event.key];
  if (!cell || !step) return;
  event.preventDefault();
  const cells = [...document.querySelectorAll("#calendar li")];
  let to = cells.indexOf(cell) + step;
  while (cells[to] && !cells[to].querySelector("a")) to += Math.sign(step);
  cells[to]?.querySelector("a").focus();
});

document.addEventListener("toggle", ({ target, newState }) => {
  if (target.id !== "calendar" || newState !== "open") return;
  const here = monthInSight();
  for (const link of target.querySelectorAll("[data-month]")) {
    if (link.dataset.month === here) link.setAttribute("aria-current", "date");
    else link.removeAttribute("aria-current");
  }
  const current = target.querySelector('[aria-current="date"]') ?? target.querySelector("a");
  current?.scrollIntoView({ block: "nearest" });
  current?.focus({ preventScroll: true });
}, true);
