// Endless scroll: a day that goes on on the next page joins the rows it began in. And the reader's time zone,
// by which the server groups pictures into days.
import { onContent } from "../lib/content.js";
import { justify } from "../lib/rows.js";

const YEAR = 365 * 24 * 3600;

function joinDays() {
  for (const box of document.querySelectorAll("#wall .rows[data-continues]")) {
    delete box.dataset.continues;
    const first = document.querySelector(`#wall .rows[data-day="${CSS.escape(box.dataset.day)}"]`);
    if (!first || first === box) continue;
    first.append(...box.children);
    box.remove();
    justify(first);
  }
}

onContent(joinDays);

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
document.cookie = `gesso_zone=${zone}; path=/; max-age=${YEAR}; samesite=lax`;
