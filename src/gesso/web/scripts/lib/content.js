// Content arrives twice: with the page, and with each swap htmx makes.

/**
 * Call `fill(root)` for the page now and for every element that htmx puts in later.
 * `fill` is given an element and must be able to meet the same element again.
 */
export function onContent(fill) {
  fill(document.body);
  document.addEventListener("htmx:after:settle", (event) => fill(event.target));
}

/** The elements matching `selector` in `root`, `root` itself included. */
export function all(root, selector) {
  const found = [...root.querySelectorAll(selector)];
  return root.matches?.(selector) ? [root, ...found] : found;
}
