// Justified rows: every row of .rows fills its width, each tile keeps its ratio, the last is not stretched.
// CSS alone gives nearly the same, so nothing jumps when this runs.
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
  let row = [];
  let ratios = 0;
  const height = () => (width - gap * (row.length - 1) - 0.5) / ratios;
  const set = (size) => {
    for (const [tile, ratio] of row) {
      tile.style.inlineSize = `${size * ratio}px`;
      tile.style.blockSize = `${size}px`;
    }
    row = [];
    ratios = 0;
  };
  for (const tile of box.querySelectorAll(":scope > .tile")) {
    const ratio = Number(tile.dataset.ratio) || 1;
    row.push([tile, ratio]);
    ratios += ratio;
    if (height() <= wanted * 1.12) set(height());
  }
  if (row.length) set(height() > wanted * 1.4 ? wanted : height());
  box.dataset.width = width;
  box.classList.add("is-set");
}
