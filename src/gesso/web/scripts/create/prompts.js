// Helpers at the prompt: improve it, or describe a picture. What comes streams into a preview beside the prompt; the
// reader takes it or leaves it, and may take it back again.
import { onContent, all } from "../lib/content.js";
import { signIn } from "../lib/requests.js";
import { toast } from "../lib/toast.js";
import { word } from "../lib/words.js";

const TITLES = { improve: "A better prompt", describe: `Your ${word("picture")} as a prompt` };
const PICKS = 12;
const KINDS = ["image/png", "image/jpeg", "image/webp", "image/avif"];
const ASK_AGAIN = 1000;
const ASKS = 45;

const box = () => document.getElementById("prompt");
const panel = () => document.getElementById("suggestion");
const part = (name) => panel().querySelector(`[data-part="${name}"]`);
const dialog = () => document.getElementById("describe");

let current = null; // the text being written, or what stands in the panel: {text, opener, before}

function say(words) {
  document.getElementById("status").textContent = words;
}

onContent((root) => {
  for (const button of all(root, "[data-prompt-tool]")) {
    button.hidden = false;
    button.disabled = Boolean(current?.writing);
  }
});

function setTools(enabled) {
  for (const button of document.querySelectorAll("[data-prompt-tool]")) button.disabled = !enabled;
}

/** Show what stage the preview is in: writing, ready, used. */
function show(stage) {
  panel().dataset.stage = stage;
  panel().setAttribute("aria-busy", String(stage === "writing"));
  for (const verb of panel().querySelectorAll("[data-verb]")) verb.hidden = !verb.dataset.stages.split(" ").includes(stage);
}

function open(kind, opener) {
  current = { text: "", opener, before: null, writing: true };
  panel().hidden = false;
  part("title").textContent = TITLES[kind];
  part("note").textContent = "Writing…";
  part("text").textContent = "";
  show("writing");
  setTools(false);
  say("Writing a prompt.");
  panel().scrollIntoView({ block: "nearest", behavior: "smooth" });
}

function close() {
  const opener = current?.opener;
  current = null;
  panel().hidden = true;
  setTools(true);
  (document.getElementById(opener) ?? box()).focus({ preventScroll: true });
}

function ready(answer) {
  Object.assign(current, { text: answer.text, writing: false });
  part("text").textContent = answer.text;
  part("note").textContent = paid(answer.charged);
  show("ready");
  setTools(true);
  say("The prompt is written. Use it or discard it.");
  // whoever has gone on to something else is not called away from it
  const idle = [document.body, null, document.getElementById(current.opener)].includes(document.activeElement);
  if (idle || panel().contains(document.activeElement)) panel().querySelector('[data-verb="use"]').focus();
}

function paid(price) {
  if (Object.values(price.allowances).some(Boolean)) return "1 prompt of the plan used";
  if (price.credits === "0") return "Free";
  return `${price.credits} ${word(price.credits === "1" ? "credit" : "credits")} used`;
}

function failed(problem) {
  close();
  say("");
  toast({ text: problem.title ?? "No prompt was written", detail: problem.detail ?? "Try again in a moment.", kind: "bad" });
}

/** Put a text into the prompt so that the browser's own undo knows of it, too. */
function replace(text) {
  const prompt = box();
  prompt.focus();
  prompt.select();
  if (!document.execCommand("insertText", false, text)) {
    prompt.value = text;
    prompt.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

// --- asking --------------------------------------------------------------------------------------------

/** A name for this request, so that asking again after a break does not cost again. */
function key() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function post(kind, body, name, accept) {
  return fetch(`/api/prompts/${kind}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: accept, "Idempotency-Key": name },
    body: JSON.stringify(body),
  });
}

/** Each event of a stream: [name, data]. */
async function* eventsOf(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n").map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]);
      const { event, data } = Object.fromEntries(lines);
      yield [event, JSON.parse(data)];
    }
  }
}

/** The connection broke in the middle: the text is written all the same, so ask for it until it is there. */
async function collect(kind, body, name) {
  for (let asked = 0; asked < ASKS; asked++) {
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN));
    const answer = await post(kind, body, name, "application/json").catch(() => null);
    if (answer?.ok) return ready(await answer.json());
    if (answer && answer.status !== 409) return failed(await answer.json().catch(() => ({})));
  }
  return failed({ title: "No answer from the server", detail: "Check your connection and try again." });
}

async function ask(kind, body, opener) {
  open(kind, opener);
  const name = key();
  try {
    const answer = await post(kind, body, name, "text/event-stream");
    if (answer.status === 401) return location.assign(signIn());
    if (!answer.ok) return failed(await answer.json().catch(() => ({})));
    for await (const [event, data] of eventsOf(answer)) {
      if (event === "piece") part("text").append(data.text);
      if (event === "done") return ready(data);
      if (event === "failed") return failed(data);
    }
  } catch {
    // told below
  }
  part("note").textContent = "The connection broke; fetching the rest…";
  return collect(kind, body, name);
}

// --- describing ----------------------------------------------------------------------------------------

let next = null;

function pick(item) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "pick";
  button.dataset.pick = item.id;
  const words = (item.prompt ?? "").slice(0, 120) || `Uploaded ${word("picture")}`;
  button.setAttribute("aria-label", `Describe: ${words}`);
  const image = new Image(88, 88);
  Object.assign(image, { src: item.thumbnails["320"], alt: "", loading: "lazy", decoding: "async" });
  button.append(image);
  const line = document.createElement("li");
  line.append(button);
  return line;
}

async function morePicks() {
  const params = new URLSearchParams({ limit: PICKS, kind: "image", ...(next && { cursor: next }) });
  const answer = await fetch(`/api/media?${params}`, { headers: { Accept: "application/json" } }).catch(() => null);
  const found = answer?.ok ? await answer.json() : { items: [], next: null };
  const list = document.getElementById("picks");
  list.append(...found.items.filter((item) => item.kind === "image").map(pick));
  next = found.next;
  document.getElementById("picks-more").hidden = !next;
  document.getElementById("picks-none").hidden = list.childElementCount > 0;
}

function describe(id) {
  dialog().close();
  ask("describe", { asset_id: id }, "tool-describe");
}

async function take(file) {
  if (!KINDS.includes(file.type)) {
    toast({ text: `${file.name} cannot be read`, detail: "Take a PNG, JPEG, WebP or AVIF.", kind: "bad" });
    return;
  }
  const body = new FormData();
  body.append("file", file);
  const drop = dialog().querySelector(".drop");
  drop.setAttribute("aria-busy", "true");
  const answer = await fetch("/api/media/uploads", { method: "POST", body, headers: { Accept: "application/json" } }).catch(() => null);
  const found = await answer?.json().catch(() => null);
  drop.removeAttribute("aria-busy");
  if (answer?.ok) describe(found.id);
  else toast({ text: `${file.name} was not taken`, detail: found?.detail ?? "Try again in a moment.", kind: "bad" });
}

// --- what the reader does ------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  const { target } = event;
  const tool = target.closest("[data-prompt-tool]")?.dataset.promptTool;
  if (tool === "improve") {
    const prompt = box().value.trim();
    if (prompt) ask("improve", { prompt }, "tool-improve");
    else {
      toast({ text: "Write something first", detail: "A few words are enough: they are made into a better prompt." });
      box().focus();
    }
  } else if (tool === "describe") {
    document.getElementById("picks").replaceChildren();
    next = null;
    dialog().showModal();
    morePicks();
  }
  if (target.closest("#picks-more")) morePicks();
  const chosen = target.closest("[data-pick]")?.dataset.pick;
  if (chosen) describe(chosen);
  const verb = target.closest("#suggestion [data-verb]")?.dataset.verb;
  if (verb === "use") {
    current.before = box().value;
    replace(current.text);
    part("note").textContent = "In your prompt now";
    show("used");
    say("The prompt was replaced. Undo brings the old one back.");
    panel().querySelector('[data-verb="undo"]').focus({ preventScroll: true });
  } else if (verb === "undo") {
    replace(current.before);
    part("note").textContent = "Your old prompt is back";
    show("ready");
    say("Your old prompt is back.");
    panel().querySelector('[data-verb="use"]').focus({ preventScroll: true });
  } else if (verb === "discard") close();
});

document.addEventListener("change", ({ target }) => {
  if (target.id !== "describe-file" || !target.files.length) return;
  take(target.files[0]);
  target.value = "";
});

// while the dialog is open, a pasted or dropped picture is meant for it, and not for the references behind it
for (const name of ["paste", "drop", "dragover"]) {
  document.addEventListener(
    name,
    (event) => {
      if (!dialog()?.open) return;
      const files = [...((event.clipboardData ?? event.dataTransfer)?.files ?? [])];
      if (name !== "paste" || files.length) event.preventDefault();
      event.stopImmediatePropagation();
      if (files.length && name !== "dragover") take(files[0]);
    },
    true,
  );
}
