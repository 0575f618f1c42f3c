// Justified rows: every row of .rows fills its width, each tile keeps its ratio, the last is not stretched.
// A box with data-goes-on is continued by another below it: its last rows share what is left over between them, so
// that no gap shows where two pages of one day meet. CSS alone gives nearly the same, so nothing jumps when this runs.
import { all } from "./content.js";

const observer = new ResizeObserver((entries) => {
  for (const { target } of entries) if (target.clientWidth !== Number(target.dataset.width)) justify(target);
});

export function watchRows(root) {
  const boxes = new Set(all(root, ".rows"));
  const around = root.closest?.(".rows");
  if (around) boxes.add(around);
  for (const box of boxes) {
    observer.observe(box);
    justify(box);
  }
}

/** Lay out one .rows; call it again after adding or removing tiles. */
export function justify(box) {
  const width = box.clientWidth;
  if (!width) return;
  const style = getComputedStyle(box);
  const gap = Number.parseFloat(style.columnGap) || 0;
  const wanted = Number.parseFloat(style.getPropertyValue("--row"));
  const height = (row) => (width - gap * (row.length - 1) - 0.5) / row.reduce((sum, { ratio }) => sum + ratio, 0);
  const rows = [];
  let row = [];
  for (const tile of box.querySelectorAll(":scope > .tile")) {
    row.push({ tile, ratio: Number(tile.dataset.ratio) || 1 });
    if (height(row) <= wanted * 1.12) {
      rows.push(row);
      row = [];
    }
  }
  if (row.length && "goesOn" in box.dataset && rows.length) {
    rows.push(...shared([...rows.pop(), ...row], (part) => Math.abs(Math.log(height(part) / wanted))));
    row = [];
  }
  for (const full of rows) set(full, height(full));
  if (row.length) set(row, height(row) > wanted * 1.4 ? wanted : height(row));
  box.dataset.width = width;
  box.classList.add("is-set");
}

/** Tiles as one row or two, whichever comes nearest to the wanted height: `off(row)` says how far a row is from it. */
function shared(tiles, off) {
  let best = [tiles];
  let least = off(tiles);
  for (let cut = 1; cut < tiles.length; cut += 1) {
    const parts = [tiles.slice(0, cut), tiles.slice(cut)];
    const worst = Math.max(...parts.map(off));
    if (worst < least) [best, least] = [parts, worst];
  }
  return best;
}

function set(row, size) {
  for (const { tile, ratio } of row) {
    tile.style.inlineSize = `${size * ratio}px`;
    tile.style.blockSize = `${size}px`;
  }
}
