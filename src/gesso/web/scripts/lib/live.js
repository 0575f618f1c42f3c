// News from the server. One tab holds the event stream and passes each event on to the others: a browser
// opens only six connections to a host, and seven open tabs must not starve.
//
// On document: `gesso:generation`, `gesso:credits`, `gesso:asset`, `gesso:billing` with detail {id}, and `gesso:resync`
// after a gap, when anything may have changed.

const KINDS = ["generation", "credits", "asset", "billing"];
const LOCK = "gesso-events";

const others = new BroadcastChannel(LOCK);
others.addEventListener("message", ({ data }) => tell(data.name, data.detail));

function tell(name, detail) {
  document.dispatchEvent(new CustomEvent(`gesso:${name}`, { detail }));
}

function tellEveryone(name, detail) {
  tell(name, detail);
  others.postMessage({ name, detail });
}

/** Listen until `signal` says stop. The browser itself resumes with Last-Event-ID after a short gap. */
function listen(signal, gap) {
  let missed = gap;
  let wait = 1000;
  let source;
  let timer;
  const open = () => {
    source = new EventSource("/api/events");
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => tellEveryone(kind, JSON.parse(event.data)));
    }
    source.addEventListener("open", () => {
      if (missed) tellEveryone("resync", {});
      missed = false;
      wait = 1000;
    });
    source.addEventListener("error", () => {
      missed = true;
      if (source.readyState !== EventSource.CLOSED) return;
      // refused (restart, signed out): the browser has given up, so we try again, ever more slowly, not all at once
      timer = setTimeout(open, wait * (0.5 + Math.random()));
      wait = Math.min(wait * 2, 60_000);
    });
  };
  open();
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    source.close();
  });
}

/** Be the listening tab, now or when the tab that listens is closed. `gap`: we may have missed something. */
async function takeTurn(gap) {
  const leaving = new AbortController();
  addEventListener("pagehide", () => leaving.abort(), { once: true });
  if (!navigator.locks) {
    listen(leaving.signal, gap);
    return;
  }
  const stay = (missed) => {
    listen(leaving.signal, missed);
    return new Promise((resolve) => leaving.signal.addEventListener("abort", () => resolve(true)));
  };
  const first = await navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => lock && stay(gap));
  if (first) return;
  // between the other tab's end and our start, anything may have happened
  await navigator.locks.request(LOCK, { signal: leaving.signal }, () => stay(true)).catch((error) => {
    if (error.name !== "AbortError") throw error;
  });
}

if (document.body.hasAttribute("data-live")) {
  takeTurn(false);
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    tell("resync", {});
    takeTurn(true);
  });
}
