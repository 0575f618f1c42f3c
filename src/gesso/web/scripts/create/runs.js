// The results keep themselves up to date: by events, and while something is under way also by asking now and then,
// so that a lost event costs only time.
import htmx from "htmx.org";

import { onContent } from "../lib/content.js";

const POLL = 5000;
const STATUS = 3000;

const asked = new Map(); // id → when its card was last asked for
const under = new Map(); // id → a request under way; "again" when something changed meanwhile

const list = () => document.getElementById("runs");
const cardOf = (id) => document.getElementById(`run-${id}`);
const openCards = () => list().querySelectorAll(".run[data-open]");

async function read(address) {
  try {
    const answer = await fetch(address, { headers: { "HX-Request": "true" } });
    return answer.ok && !answer.headers.has("HX-Redirect") ? await answer.text() : null;
  } catch {
    return null; // the next event or poll asks again
  }
}

function morph(card, text) {
  return htmx.swap({ sourceElement: card, target: card, swap: "outerMorph", text });
}

/** Newest first: ids begin with the time, so their order is the order of asking. */
function insert(text) {
  const holder = document.createElement("template");
  holder.innerHTML = text;
  const card = holder.content.querySelector(".run");
  if (!card || cardOf(card.dataset.run)) return Promise.resolve();
  const id = card.dataset.run;
  const next = [...list().querySelectorAll(".run")].find((other) => other.dataset.run < id);
  const swap = next ? "beforebegin" : "afterbegin";
  return htmx.swap({ sourceElement: list(), target: next ?? list(), swap, text });
}

/** On a page of older results, or older than all here while there is a page to come: it has its place elsewhere. */
function belongsElsewhere(id) {
  if (!list().hasAttribute("data-newest")) return true;
  const last = [...list().querySelectorAll(".run")].at(-1);
  return last && id < last.dataset.run && list().querySelector(".more-link");
}

async function refresh(id) {
  if (under.has(id)) {
    under.set(id, "again");
    return;
  }
  const known = cardOf(id);
  if (!known && belongsElsewhere(id)) return;
  under.set(id, "");
  asked.set(id, Date.now());
  const text = await read(`/generations/${id}/card${known ? "" : `?mine=${list().dataset.kind}`}`);
  if (text !== null) {
    const card = cardOf(id);
    await (card ? morph(card, text) : insert(text));
  }
  const again = under.get(id) === "again";
  under.delete(id);
  if (again) refresh(id);
}

async function refreshAll() {
  if (!list().hasAttribute("data-newest")) return;
  const text = await read(`${list().dataset.path}/runs`);
  if (text === null) return;
  const holder = document.createElement("template");
  holder.innerHTML = text;
  const seen = new Set();
  for (const card of holder.content.querySelectorAll(".run")) {
    seen.add(card.dataset.run);
    const old = cardOf(card.dataset.run);
    await (old ? morph(old, card.outerHTML) : insert(card.outerHTML));
  }
  for (const card of openCards()) if (!seen.has(card.dataset.run)) refresh(card.dataset.run);
}

document.addEventListener("gesso:generation", ({ detail }) => refresh(detail.id));
document.addEventListener("gesso:resync", refreshAll);

setInterval(() => {
  if (document.hidden) return;
  for (const { dataset } of openCards()) if (Date.now() - (asked.get(dataset.run) ?? 0) >= POLL) refresh(dataset.run);
}, 1000);

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) for (const { dataset } of openCards()) refresh(dataset.run);
});

// --- what follows from the cards ---------------------------------------------------------------------------

/** The answer to a request and the event of its making may both bring the card: the upper one stays. */
function leaveOneEach() {
  const seen = new Set();
  for (const card of list().querySelectorAll(".run")) {
    if (seen.has(card.id)) card.remove();
    seen.add(card.id);
  }
}

function countRunning() {
  const badge = document.getElementById("running");
  const count = openCards().length;
  badge.hidden = !count;
  badge.querySelector("[data-words]").textContent = `${count} running`;
}

const told = new Map(); // id → what was last noticed of a run
let waiting = "";
let toldAt = 0;
let timer = 0;

/** Tell screen readers what changed, at most every three seconds and then only the latest. */
function say(words) {
  waiting = words;
  if (timer) return;
  timer = setTimeout(() => {
    timer = 0;
    toldAt = Date.now();
    document.getElementById("status").textContent = waiting;
  }, Math.max(0, toldAt + STATUS - Date.now()));
}

function notice({ run, count, ready, lost, open, things }) {
  const now = `${ready}/${lost}/${open}`;
  const before = told.get(run);
  told.set(run, now);
  if (before === undefined ? open === undefined : before === now) return;
  const words = `${ready} of ${count} ${things} ready`;
  say(lost > 0 ? `${words}, ${lost} not delivered, nothing charged for ${lost > 1 ? "them" : "it"}.` : `${words}.`);
}

onContent(() => {
  leaveOneEach();
  countRunning();
  for (const { dataset } of list().querySelectorAll(".run")) notice(dataset);
});
