// Jumping to a month: the scrubber at the edge of the wall, as long for each month as much was made in it. The
// calendar's links are the truth: where they lead, the scrubber leads.
import { onContent } from "../lib/content.js";
import { show } from "./filters.js";

const REST = 220;
const FADE = 1400;
/** Every month gets a part of the track, however little was made in it. */
const LEAST = 0.35;
/** A day counts as the one in sight when its heading is right below the bar. */
const HEAD = 48;
/** Years are written where there is room for the word. */
const ROOM = 22;

let months = [];
let resting;
let fading;
let dragging = false;
/** The jump that is on its way, as a number; 0 when the wall stands where the mark says. */
let aiming = 0;
let jumps = 0;

const scrubber = document.getElementById("scrubber");

/** The month in sight, such as "2026-05". */
export const monthInSight = () => months[Number(scrubber.getAttribute("aria-valuenow"))]?.key;

/** Read the calendar; where each month begins and ends on the track, from 0 to 1. */
function read() {
  const links = [...document.querySelectorAll("#calendar [data-month]")];
  const found = links.map((link) => ({
    key: link.dataset.month, href: link.getAttribute("href"), words: link.textContent,
    made: Number(link.dataset.made),
  }));
  found.sort((one, other) => (one.key < other.key ? 1 : -1));
  const mean = found.reduce((sum, { made }) => sum + made, 0) / (found.length || 1);
  const whole = found.reduce((sum, { made }) => sum + made + mean * LEAST, 0);
  let start = 0;
  months = found.map((month) => {
    const end = start + (month.made + mean * LEAST) / whole;
    const placed = { ...month, start, end };
    start = end;
    return placed;
  });
}

function draw() {
  read();
  scrubber.hidden = months.length < 2;
  if (scrubber.hidden) return;
  scrubber.setAttribute("aria-valuemax", months.length - 1);
  const parts = [];
  let free = -Infinity;
  for (const [index, month] of months.entries()) {
    const year = month.key.slice(0, 4);
    const newYear = months[index - 1]?.key.slice(0, 4) !== year;
    const at = month.start * scrubber.clientHeight;
    const named = newYear && at >= free;
    if (named) free = at + ROOM;
    const part = document.createElement(named ? "span" : "i");
    if (named) part.textContent = year;
    part.style.insetBlockStart = `${month.start * 100}%`;
    parts.push(part);
  }
  const here = document.createElement("b");
  const words = document.createElement("output");
  words.setAttribute("aria-hidden", "true");
  scrubber.replaceChildren(...parts, here, words);
  follow();
}

/** Put the mark at `share` of the track and say which month that is. */
function point(index, share) {
  const month = months[index];
  scrubber.style.setProperty("--at", share ?? (month.start + month.end) / 2);
  scrubber.querySelector("output").textContent = month.words;
  scrubber.setAttribute("aria-valuenow", index);
  scrubber.setAttribute("aria-valuetext", month.words);
}

/** The month on top of what is in sight. */
function follow() {
  if (dragging || aiming || scrubber.hidden || !months.length) return;
  const top = document.querySelector(".topbar").getBoundingClientRect().bottom + HEAD;
  const boxes = [...document.querySelectorAll("#wall .rows")];
  const box = boxes.find((one) => one.getBoundingClientRect().bottom > top) ?? boxes.at(-1);
  if (!box) return;
  const key = box.dataset.day.slice(0, 7);
  const found = months.findIndex((month) => month.key <= key);
  const index = found < 0 ? months.length - 1 : found;
  const { start, end, key: its } = months[index];
  const day = its === key ? Number(box.dataset.day.slice(8)) : 31;
  point(index, start + (end - start) * (1 - day / 31));
}

function jump(index, pause) {
  clearTimeout(resting);
  jumps += 1;
  aiming = jumps;
  const own = aiming;
  const { href, words } = months[index];
  resting = setTimeout(async () => {
    try {
      await show(href);
    } finally {
      // unless another was asked for meanwhile: the mark stays where that one leads
      if (own === aiming) {
        aiming = 0;
        document.getElementById("status").textContent = words;
        follow();
      }
    }
  }, pause);
}

function awake() {
  scrubber.classList.add("is-awake");
  clearTimeout(fading);
  fading = setTimeout(() => dragging || scrubber.classList.remove("is-awake"), FADE);
}

function drag(event, pause) {
  const { top, height } = scrubber.getBoundingClientRect();
  const share = Math.min(0.9999, Math.max(0, (event.clientY - top) / height));
  const index = months.findIndex((month) => share < month.end);
  const changed = Number(scrubber.getAttribute("aria-valuenow")) !== index;
  point(index, share);
  if (changed || pause === 0) jump(index, pause);
}

const STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

/** The newest month of the year before, or of the year after. */
function otherYear(now, step) {
  const year = (index) => months[index].key.slice(0, 4);
  let to = now;
  while (months[to + step] && year(to) === year(now)) to += step;
  while (months[to - 1] && year(to - 1) === year(to)) to -= 1;
  return to;
}

function start() {
  scrubber.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    dragging = true;
    scrubber.setPointerCapture(event.pointerId);
    scrubber.classList.add("is-dragged");
    awake();
    drag(event, REST);
  });
  scrubber.addEventListener("pointermove", (event) => dragging && drag(event, REST));
  for (const name of ["pointerup", "pointercancel"]) {
    scrubber.addEventListener(name, (event) => {
      if (!dragging) return;
      if (name === "pointerup") drag(event, 0);
      dragging = false;
      scrubber.classList.remove("is-dragged");
      awake();
    });
  }

  scrubber.addEventListener("keydown", (event) => {
    const now = Number(scrubber.getAttribute("aria-valuenow"));
    const last = months.length - 1;
    let to;
    if (event.key in STEPS) to = now + STEPS[event.key];
    else if (event.key === "Home") to = 0;
    else if (event.key === "End") to = last;
    else if (event.key === "PageDown" || event.key === "PageUp") to = otherYear(now, event.key === "PageDown" ? 1 : -1);
    else return;
    event.preventDefault();
    to = Math.min(last, Math.max(0, to));
    awake();
    point(to);
    jump(to, REST);
  });

  let waiting = false;
  addEventListener("scroll", () => {
    awake();
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      follow();
    });
  }, { passive: true });
  addEventListener("resize", draw);

  onContent((root) => {
    if (root === document.body || root.id === "gallery-page") draw();
    else follow();
  });
}

// a picture's own page has the same scripts and no wall
if (scrubber) start();
