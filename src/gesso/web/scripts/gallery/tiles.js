// Tiles of the wall: finding them, taking them away and putting them back.
import { justify } from "../lib/rows.js";
import { leafOf } from "./leaves.js";

// what an undo address brings back, as long as this page lives
const removed = new Map();

/** The tile of a picture, null when the wall does not reach so far. */
export function tileOf(id) {
  const find = () => document.querySelector(`#wall .tile[id="${CSS.escape(id)}"]`);
  return find() ?? (id && leafOf(id) ? find() : null);
}

/** Take tiles away; `undo` (an address, see lib/toast.js) puts them back. */
export function removeTiles(tiles, undo) {
  const places = tiles.map((tile) => ({ tile, box: tile.parentElement, before: tile.nextElementSibling }));
  for (const { tile, box } of places) {
    tile.remove();
    // an undo puts it back into this very box
    if (undo) box.closest(".leaf").dataset.kept = "true";
  }
  for (const box of new Set(places.map(({ box }) => box))) layOut(box);
  if (undo) removed.set(undo, places);
}

function layOut(box) {
  const empty = !box.querySelector(".tile");
  box.hidden = empty;
  if (box.previousElementSibling?.matches(".day")) box.previousElementSibling.hidden = empty;
  justify(box);
}

document.addEventListener("gesso:undone", ({ detail: { address } }) => {
  const places = removed.get(address);
  if (!places) {
    location.reload();
    return;
  }
  removed.delete(address);
  for (const { tile, box, before } of places.reverse()) box.insertBefore(tile, before);
  for (const box of new Set(places.map(({ box }) => box))) layOut(box);
});
