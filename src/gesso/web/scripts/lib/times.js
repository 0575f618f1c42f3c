// Relative times tick, and carry the exact time in the reader's own zone as their title.
import { all } from "./content.js";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const EXACT = new Intl.DateTimeFormat(document.documentElement.lang, {
  dateStyle: "medium",
  timeStyle: "short",
});
const SAME_YEAR = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const OTHER_YEAR = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** The same words as `ago` in web/render.py. */
export function ago(date, now = new Date()) {
  const seconds = (now - date) / 1000;
  if (seconds <= -45) return ahead(date, -seconds, now);
  if (seconds < 45) return "just now";
  if (seconds < HOUR) return `${Math.max(1, Math.round(seconds / MINUTE))} min ago`;
  if (seconds < DAY) return `${Math.round(seconds / HOUR)} h ago`;
  if (seconds < 2 * DAY) return "yesterday";
  if (seconds < 7 * DAY) return `${Math.floor(seconds / DAY)} days ago`;
  return calendar(date, now);
}

function ahead(date, seconds, now) {
  if (seconds < HOUR) return `in ${Math.max(1, Math.round(seconds / MINUTE))} min`;
  if (seconds < DAY) return `in ${Math.round(seconds / HOUR)} h`;
  if (seconds >= 7 * DAY) return calendar(date, now);
  const days = Math.round(seconds / DAY);
  return days === 1 ? "in 1 day" : `in ${days} days`;
}

function calendar(date, now) {
  return (date.getFullYear() === now.getFullYear() ? SAME_YEAR : OTHER_YEAR).format(date);
}

export function tellTimes(root) {
  for (const element of all(root, "time[data-ago]")) {
    const date = new Date(element.dateTime);
    element.title = EXACT.format(date);
    const words = ago(date);
    if (element.textContent !== words) element.textContent = words;
  }
}

setInterval(() => document.hidden || tellTimes(document.body), 20_000);
