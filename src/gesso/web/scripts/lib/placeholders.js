// Blur placeholders: a ThumbHash in data-blur (base64) is painted behind a picture until it has come.
import { thumbHashToDataURL } from "thumbhash";

import { all } from "./content.js";

export function placeholders(root) {
  for (const element of all(root, "[data-blur]")) {
    const hash = element.dataset.blur;
    if (!hash || element.dataset.blurred === hash || (element.complete && element.naturalWidth)) continue;
    element.dataset.blurred = hash;
    const bytes = Uint8Array.from(atob(hash), (char) => char.charCodeAt(0));
    element.style.background = `center / cover no-repeat url("${thumbHashToDataURL(bytes)}")`;
    // a picture with transparent parts must not keep its own blur behind it
    element.addEventListener("load", () => (element.style.background = ""), { once: true });
  }
}
