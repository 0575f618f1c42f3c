// Pictures to work from, chosen from one's own gallery.
import { onContent } from "../lib/content.js";
import { word } from "../lib/words.js";
import { add } from "./references.js";

const PICKS = 24;
const dialog = () => document.getElementById("pick");
let next = null;

onContent((root) => {
  for (const button of root.querySelectorAll("[data-pick-open]")) button.hidden = false;
});

function line(item) {
  const name = (item.prompt ?? "").slice(0, 120) || `Uploaded ${word("picture")}`;
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "pick" });
  Object.assign(button.dataset, { own: item.id, name, src: item.thumbnails["320"] });
  button.setAttribute("aria-label", `Use: ${name}`);
  const image = new Image(88, 88);
  Object.assign(image, { src: item.thumbnails["320"], alt: "", loading: "lazy", decoding: "async" });
  button.append(image);
  const entry = document.createElement("li");
  entry.append(button);
  return entry;
}

async function more() {
  const params = new URLSearchParams({ limit: PICKS, kind: "image", ...(next && { cursor: next }) });
  const answer = await fetch(`/api/media?${params}`, { headers: { Accept: "application/json" } }).catch(() => null);
  const found = answer?.ok ? await answer.json() : { items: [], next: null };
  const list = document.getElementById("own-picks");
  list.append(...found.items.map(line));
  next = found.next;
  document.getElementById("own-picks-more").hidden = !next;
  document.getElementById("own-picks-none").hidden = list.childElementCount > 0;
}

document.addEventListener("click", ({ target }) => {
  if (target.closest("[data-pick-open]")) {
    document.getElementById("own-picks").replaceChildren();
    next = null;
    dialog().showModal();
    more();
  }
  if (target.closest("#own-picks-more")) more();
  const chosen = target.closest("[data-own]")?.dataset;
  if (chosen) {
    dialog().close();
    add({ id: chosen.own, name: chosen.name, src: chosen.src });
  }
});
