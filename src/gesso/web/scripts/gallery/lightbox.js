// The lightbox over the gallery, with its own place in the history: back closes it. On a page of its own
// (/gallery/{id} opened directly) the same code turns pages in place.
import htmx from "htmx.org";

import { show as showWall } from "./filters.js";
import { send } from "./send.js";
import { removeTiles, tileOf } from "./tiles.js";

const box = document.getElementById("lightbox");
const overlay = box.hasAttribute("data-gallery-overlay");
const ADDRESS = /^\/gallery\/[0-9a-f-]{36}$/;
const title = document.title;
// whether the entry before this one in the history is the gallery that lies underneath
let pushed = false;
let turning = Promise.resolve();
let wanted = "";

const shown = () => box.querySelector(".lightbox");
const open = () => !box.hidden;

/** Put the picture at `address` into the box; false when it could not be had. */
async function load(address) {
  const before = shown();
  await htmx.ajax("GET", address, { source: box, target: box, swap: "innerHTML" });
  if (!shown() || shown() === before) return false;
  fetchAhead();
  const name = box.querySelector("#lightbox-title").textContent;
  document.title = overlay ? `${name} · ${title}` : name;
  document.getElementById("status").textContent = name;
  return true;
}

/** Fetch the neighbours' pictures once this one has come, in the size that will be shown. */
function fetchAhead() {
  const wanted = [...box.querySelectorAll("[data-ahead]")];
  const start = () => {
    for (const { dataset } of wanted) {
      Object.assign(new Image(), { sizes: dataset.sizes, srcset: dataset.srcset, src: dataset.ahead });
    }
  };
  const picture = box.querySelector(".pic");
  if (picture.complete || picture.readyState >= HTMLMediaElement.HAVE_METADATA) start();
  else picture.addEventListener(picture.matches("video") ? "loadedmetadata" : "load", start, { once: true });
}

/** One after the other; of several asked for meanwhile (a key held down) only the last counts. */
function show(address, how) {
  wanted = address;
  turning = turning.then(() => (wanted === address ? turn(address, how) : null));
  return turning;
}

async function turn(address, { push }) {
  if (!(await load(address))) return;
  history[push ? "pushState" : "replaceState"](null, "", address);
  pushed ||= push;
  reveal();
}

function reveal() {
  if (!overlay || open()) return;
  box.hidden = false;
  document.documentElement.classList.add("has-lightbox");
  for (const element of behind()) element.inert = true;
  box.querySelector('[data-key="Escape"]').focus();
}

/** Everything but the lightbox itself, messages and dialogs. */
function behind() {
  return [...document.body.children].filter(
    (element) => !element.matches("#lightbox, #toasts, #status, dialog, script"),
  );
}

function hide() {
  if (!open()) return;
  const seen = shown()?.dataset.asset ?? "";
  const tile = tileOf(seen);
  box.hidden = true;
  box.replaceChildren();
  document.documentElement.classList.remove("has-lightbox");
  for (const element of behind()) element.inert = false;
  document.title = title;
  if (tile) uncover(tile);
  else if (seen) far(seen);
}

/** Show where the picture stands that was looked at last: it may be pages away from where one began. */
function uncover(tile) {
  tile.querySelector(".tile__link").focus({ preventScroll: true });
  tile.scrollIntoView({ block: "nearest", behavior: "instant" });
}

/** The same for one that the wall does not reach. */
async function far(id) {
  const query = new URLSearchParams(location.search);
  query.set("at", id);
  await showWall(`/gallery?${query}`);
  const tile = tileOf(id);
  if (tile) uncover(tile);
}

if (!overlay) fetchAhead();

function close() {
  if (pushed) history.back();
  else location.assign(box.querySelector('[data-key="Escape"]').href);
}

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  const tile = event.target.closest("#gallery:not(.is-selecting) .tile__link");
  const turn = event.target.closest("#lightbox [data-turn]");
  const closer = overlay && event.target.closest('#lightbox [data-key="Escape"]');
  if (!tile && !turn && !closer) return;
  event.preventDefault();
  if (closer) close();
  else show((tile ?? turn).getAttribute("href"), { push: Boolean(tile) });
});

// a click beside the picture closes, as people expect of one
box.addEventListener("click", (event) => {
  if (overlay && event.target.matches(".lightbox__stage, .lightbox__glow")) close();
});

addEventListener("popstate", () => {
  if (!overlay) location.reload();
  else if (ADDRESS.test(location.pathname)) show(location.pathname + location.search, { push: false });
  else hide();
  pushed = ADDRESS.test(location.pathname);
});

// htmx marks every entry as its own and would load the page again on the way back
document.addEventListener("htmx:before:history:restore", (event) => event.preventDefault());

document.addEventListener(
  "submit",
  async (event) => {
    if (!event.target.matches("#lightbox [data-delete]")) return;
    event.preventDefault();
    const tile = tileOf(shown().dataset.asset);
    const done = await send(event.target.getAttribute("action"));
    if (!done) return;
    if (tile) removeTiles([tile], done.undo);
    if (ADDRESS.test(done.next.split("?")[0])) await show(done.next, { push: false });
    else if (overlay) close();
    else location.assign(done.next);
  },
  true,
);

// the heart pressed here shows on the wall, too
document.addEventListener("htmx:after:settle", () => {
  const heart = open() && box.querySelector(".btn--heart");
  if (!heart) return;
  tileOf(shown().dataset.asset)?.toggleAttribute("data-favourite", heart.getAttribute("aria-pressed") === "true");
});

const PLAYER = {
  // a pause before it has begun is no error
  " ": (video) => (video.paused ? video.play().catch(() => {}) : video.pause()),
  j: (video) => (video.currentTime -= 1),
  l: (video) => (video.currentTime += 1),
  m: (video) => (video.muted = !video.muted),
};

// Keys press what carries them in data-key; some play a video.
document.addEventListener("keydown", (event) => {
  if (!open() || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (document.querySelector("dialog[open]") || event.target.closest("input, textarea, select")) return;
  // a player's own keys seek and pause
  if (event.target.closest("video") && (event.key.startsWith("Arrow") || event.key === " ")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const video = box.querySelector("video.pic");
  // Space on a link or a button is meant for that
  if (video && key in PLAYER && !(key === " " && event.target.closest("a, button"))) {
    event.preventDefault();
    PLAYER[key](video);
    return;
  }
  const button = box.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!button) return;
  event.preventDefault();
  button.click();
});
