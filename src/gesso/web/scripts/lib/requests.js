// What is common to all htmx requests: signed out, no connection, and answers that are no fragments.
import { toast } from "./toast.js";

document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
  if (ctx.hx.redirect) return;
  if (ctx.response.status === 401) {
    ctx.hx.redirect = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
    return;
  }
  // 4xx with a fragment is swapped as usual (a form with its errors); anything else must not land in a card
  const type = ctx.response.headers.get("content-type") ?? "";
  const page = /^\s*<!doctype/i.test(ctx.text);
  if (type.startsWith("text/html") && !page) return;
  ctx.hx.reswap = "none";
  if (ctx.hx.trigger) return;
  let problem = {};
  if (type.includes("json")) problem = JSON.parse(ctx.text);
  toast({ text: problem.title ?? "That did not work", detail: problem.detail ?? "Try again in a moment.", kind: "bad" });
});

document.addEventListener("htmx:error", ({ detail }) => {
  if (!detail.ctx || !(detail.error instanceof TypeError || detail.error?.name === "AbortError")) return;
  toast({ text: "No answer from the server", detail: "Check your connection and try again.", kind: "bad" });
});
