// Pictures that arrive while the gallery is open. What one looks at stays where it is: a button at the top says
// how many are new, and pressing it shows them. Filters and older pages are left alone.
import { show } from "./filters.js";
import { newest } from "./leaves.js";
import { word } from "../lib/words.js";
import { tileOf } from "./tiles.js";

const MOST = 20;
const PAUSE = 1000;
let timer;

const pill = () => document.getElementById("news");
/** The newest pictures without a filter: the only place where a new one belongs at the top. */
const atHome = () =>
  pill() &&
  !document.getElementById("gallery")?.dataset.here.includes("?") &&
  !document.querySelector("#wall > .more-link--up");

async function look() {
  if (!atHome() || document.hidden) return;
  let items;
  try {
    const answer = await fetch(`/api/media?limit=${MOST}`, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    ({ items } = await answer.json());
  } catch {
    return; // the next event asks again
  }
  // ids begin with the time: what is older than the first here was deleted or brought back, and is no news
  const first = newest();
  const fresh = items.filter(({ id }) => id > first && !tileOf(id));
  if (fresh.length && !first && !document.querySelector("#wall .rows")) await arrive();
  else tell(fresh);
}

function tell(fresh) {
  const count = fresh.length;
  const videos = fresh.filter(({ kind }) => kind === "video").length;
  const one = videos === count ? ["video", "videos"] : [word("picture"), word("pictures")];
  const things = videos && videos < count ? "" : ` ${one[count === 1 ? 0 : 1]}`;
  const words = `${count >= MOST ? `${MOST} or more` : count} new${things}`;
  if (count && pill().hidden) document.getElementById("status").textContent = `${words}.`;
  pill().querySelector("[data-words]").textContent = words;
  pill().hidden = !count;
}

async function arrive() {
  pill().hidden = true;
  await show("/gallery");
}

document.addEventListener("click", async ({ target }) => {
  if (!target.closest("#news")) return;
  scrollTo({ top: 0 });
  await arrive();
  document.querySelector("#wall .tile__link")?.focus({ preventScroll: true });
});

// a filter changes what stands here: its pictures were asked for just now
document.addEventListener("htmx:after:settle", ({ target }) => {
  if (target.id === "gallery-page" && pill()) pill().hidden = true;
});

function soon() {
  clearTimeout(timer);
  timer = setTimeout(look, PAUSE);
}

for (const name of ["gesso:generation", "gesso:asset", "gesso:resync"]) document.addEventListener(name, soon);
document.addEventListener("visibilitychange", () => document.hidden || soon());
