// Endless scroll in both directions: pages join where they meet in the middle of a day, and what comes in above moves
// nothing that one looks at. And the reader's time zone, by which the server groups pictures into days.
import { onContent } from "../lib/content.js";
import { placeholders } from "../lib/placeholders.js";
import { setProperties } from "../lib/properties.js";
import { justify, watchRows } from "../lib/rows.js";

const YEAR = 365 * 24 * 3600;
let standing = null;

/** The first tile in sight and where it stands. */
function mark() {
  const top = document.querySelector(".topbar").getBoundingClientRect().bottom;
  for (const element of document.querySelectorAll("#wall .tile")) {
    const box = element.getBoundingClientRect();
    if (box.bottom > top) return { element, top: box.top };
  }
  return null;
}

document.addEventListener("htmx:before:swap", ({ target }) => {
  standing = target.matches?.(".more-link--up") ? mark() : null;
});

/** A day that began on the page above needs no heading of its own. */
function joinDays() {
  const leaves = [...document.querySelectorAll("#wall > .leaf")];
  for (const [index, leaf] of leaves.entries()) {
    const above = leaves[index - 1]?.querySelector(".rows:last-of-type");
    const first = leaf.querySelector(".rows");
    if (!above || !first || above.dataset.day !== first.dataset.day) continue;
    if (first.previousElementSibling?.matches(".day")) first.previousElementSibling.remove();
    first.dataset.continues = "";
    if ("goesOn" in above.dataset) continue;
    above.dataset.goesOn = "";
    justify(above);
  }
}

onContent(() => {
  for (const leaf of document.querySelectorAll("#wall > .leaf:not([data-ready])")) {
    leaf.dataset.ready = "";
    setProperties(leaf);
    watchRows(leaf);
    placeholders(leaf);
  }
  joinDays();
  if (standing?.element.isConnected) {
    const moved = standing.element.getBoundingClientRect().top - standing.top;
    if (Math.abs(moved) > 0.5) scrollBy({ top: moved, behavior: "instant" });
  }
  standing = null;
});

/** At a place in the middle of the wall the pictures stand right below the bar; the newer ones are above. */
export function settle() {
  const up = document.querySelector("#wall > .more-link--up");
  if (!up) {
    scrollTo({ top: 0, behavior: "instant" });
    return;
  }
  (up.nextElementSibling ?? up).scrollIntoView({ block: "start", behavior: "instant" });
}

if (document.querySelector("#wall > .more-link--up") && scrollY === 0) settle();

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
document.cookie = `gesso_zone=${zone}; path=/; max-age=${YEAR}; samesite=lax`;
