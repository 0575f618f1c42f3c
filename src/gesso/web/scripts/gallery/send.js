// Actions whose answer is no fragment: a POST, the toast that comes with it, and where to go next.
import { signIn } from "../lib/requests.js";
import { toast } from "../lib/toast.js";

/**
 * POST to one of our addresses as htmx would, without swapping anything.
 * @param {string} address
 * @param {FormData} [body]
 * @returns {Promise<{next: string, undo: string} | null>} null when it failed, which the reader was told
 */
export async function send(address, body) {
  let answer;
  try {
    answer = await fetch(address, { method: "POST", body, headers: { "HX-Request": "true" } });
  } catch {
    toast({ text: "No answer from the server", detail: "Check your connection and try again.", kind: "bad" });
    return null;
  }
  if (answer.headers.has("HX-Redirect")) {
    const target = answer.headers.get("HX-Redirect");
    location.assign(target === "/login" ? signIn() : target);
    return null;
  }
  if (!answer.ok) {
    toast({ text: "That did not work", detail: "Reload the page and try again.", kind: "bad" });
    return null;
  }
  const message = JSON.parse(answer.headers.get("HX-Trigger") ?? "{}")["gesso:toast"];
  if (message) toast(message);
  return { next: answer.headers.get("X-Next") ?? "", undo: message?.undo ?? "" };
}
