// The heart on a picture: pressed at once, taken back when the server does not agree.
import { send } from "../gallery/send.js";

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-heart]");
  if (!form) return;
  event.preventDefault();
  const button = form.querySelector("button");
  const body = new FormData(form);
  const on = body.get("value") === "on";
  const press = (pressed) => {
    button.setAttribute("aria-pressed", String(pressed));
    form.elements.value.value = pressed ? "off" : "on";
  };
  press(on);
  if ((await send(form.action, body)) === null) press(!on);
});
