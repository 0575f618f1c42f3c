// Blur placeholders: a ThumbHash in data-blur (base64) is painted behind a picture until it has come. One that does
// not come (no connection, a file that is gone) leaves its blur and not the browser's broken picture.
import { thumbHashToDataURL } from "thumbhash";

import { all } from "./content.js";

const EMPTY = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";

export function placeholders(root) {
  for (const element of all(root, "[data-blur]")) {
    const hash = element.dataset.blur;
    const gone = element.src === EMPTY;
    if (!hash || element.dataset.blurred === hash || (!gone && element.complete && element.naturalWidth)) continue;
    element.dataset.blurred = hash;
    const bytes = Uint8Array.from(atob(hash), (char) => char.charCodeAt(0));
    element.style.background = `center / cover no-repeat url("${thumbHashToDataURL(bytes)}")`;
    if (gone) continue;
    // a picture with transparent parts must not keep its own blur behind it
    const clear = () => (element.style.background = "");
    const failed = () => {
      element.removeEventListener("load", clear);
      element.removeAttribute("srcset");
      element.src = EMPTY;
    };
    element.addEventListener("load", clear, { once: true });
    if (element.complete && element.naturalWidth === 0) failed();
    else element.addEventListener("error", failed, { once: true });
  }
}
