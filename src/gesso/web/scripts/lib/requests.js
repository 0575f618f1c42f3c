// What is common to all htmx requests: signed out, no connection, and answers that are no fragments.
import { toast } from "./toast.js";

/** Where to sign in when the session has ended: it leads back here, with the prompt that was being written. */
export function signIn() {
  const prompt = document.querySelector("#composer [name=prompt]")?.value.trim();
  const back = prompt ? `/create?${new URLSearchParams({ prompt })}` : location.pathname + location.search;
  return `/login?${new URLSearchParams({ next: back })}`;
}

document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
  if (ctx.hx?.redirect === "/login") ctx.hx.redirect = signIn();
});

document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
  if (ctx.hx.redirect) return;
  if (ctx.response.status === 401) {
    ctx.hx.redirect = signIn();
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
  // what a script asks for by itself, and asks for again, is not the reader's to repeat
  if (detail.ctx.sourceElement?.hidden) return;
  toast({ text: "No answer from the server", detail: "Check your connection and try again.", kind: "bad" });
});
