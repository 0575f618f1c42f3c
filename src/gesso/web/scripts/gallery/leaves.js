// A page of the wall is a leaf. One that is far out of sight keeps its height and gives up its tiles: however far one
// scrolls, the document holds a few hundred of them. What it held stays as text and is put back when it comes near.
import { onContent } from "../lib/content.js";
import { placeholders } from "../lib/placeholders.js";
import { setProperties } from "../lib/properties.js";
import { watchRows } from "../lib/rows.js";

const held = new WeakMap();
/** How many screens above and below keep their tiles. */
const NEAR = "250% 0px";

const near = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) (isIntersecting ? unfold : fold)(target);
  },
  { rootMargin: NEAR },
);

const all = () => [...document.querySelectorAll("#wall > .leaf")];

function fold(leaf) {
  const selecting = document.getElementById("gallery").classList.contains("is-selecting");
  // what is ticked, focused, or may be brought back by an undo stays
  if (held.has(leaf) || selecting || leaf.dataset.kept || leaf.contains(document.activeElement)) return;
  const { height, width } = leaf.getBoundingClientRect();
  leaf.style.blockSize = `${height}px`;
  leaf.dataset.folded = width;
  // the page's policy takes no styles from text; they are made again
  for (const element of leaf.querySelectorAll("[style]")) element.removeAttribute("style");
  for (const element of leaf.querySelectorAll("[data-blurred]")) delete element.dataset.blurred;
  held.set(leaf, leaf.innerHTML);
  leaf.replaceChildren();
}

/** Give a leaf its tiles back. */
export function unfold(leaf) {
  const text = held.get(leaf);
  if (text === undefined) return;
  const before = leaf.getBoundingClientRect();
  held.delete(leaf);
  leaf.innerHTML = text;
  leaf.style.blockSize = "";
  delete leaf.dataset.folded;
  setProperties(leaf);
  watchRows(leaf);
  placeholders(leaf);
  // a window that was resized meanwhile lays it out anew: what is in sight stays where it is
  const grown = leaf.getBoundingClientRect().height - before.height;
  if (before.bottom <= 0 && Math.abs(grown) > 1) scrollBy({ top: grown, behavior: "instant" });
}

/** The leaf that holds a picture, unfolded; null when the wall has none. */
export function leafOf(id) {
  const leaf = all().find((one) => held.get(one)?.includes(`id="${id}"`));
  if (leaf) unfold(leaf);
  return leaf ?? null;
}

/** The id of the newest picture on the wall. */
export const newest = () => document.querySelector("#wall > .leaf")?.id.replace("leaf-", "") ?? "";

// folded leaves of another width would be of another height
addEventListener("resize", () => {
  for (const leaf of all().filter((one) => held.has(one))) {
    const width = leaf.getBoundingClientRect().width;
    leaf.style.blockSize = `${(Number.parseFloat(leaf.style.blockSize) * leaf.dataset.folded) / width}px`;
    leaf.dataset.folded = width;
  }
});

onContent(() => {
  for (const leaf of all()) {
    // a leaf that was filled from elsewhere (another filter) is no longer folded
    if (leaf.firstElementChild && held.delete(leaf)) leaf.style.blockSize = "";
    near.observe(leaf);
  }
});
