// Dialogs: [data-open="id"] opens a <dialog>, [data-close] closes the one around it. Things that cannot be
// undone are asked about first: hx-confirm on an htmx element, data-confirm on a plain form.

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-open]");
  if (opener) document.getElementById(opener.dataset.open)?.showModal();
  const closer = event.target.closest("[data-close]");
  if (closer) closer.closest("dialog")?.close();
  // the backdrop belongs to the dialog element: a click on neither its head, body nor foot
  if (event.target instanceof HTMLDialogElement && event.target.matches(":modal")) event.target.close();
});

/**
 * Ask with the page's own dialog (templates/components/dialog.html: confirm).
 * @param {string} question the heading, "Delete 3 pictures?"
 * @param {HTMLElement} from the element acted on: data-confirm-detail explains, data-confirm-label is the verb,
 *   data-confirm-makes says that nothing is lost by it
 * @returns {Promise<boolean>}
 */
export function ask(question, from) {
  const dialog = document.getElementById("confirm");
  const part = (name) => dialog.querySelector(`[data-part="${name}"]`);
  part("question").textContent = question;
  part("detail").textContent = from.dataset.confirmDetail ?? "";
  const makes = "confirmMakes" in from.dataset;
  part("yes").textContent = from.dataset.confirmLabel ?? "Go on";
  part("yes").className = makes ? "btn btn--solid" : "btn btn--bad";
  part("no").textContent = makes ? "Not now" : "Keep it";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

document.addEventListener("htmx:confirm", (event) => {
  const { ctx, issueRequest, dropRequest } = event.detail;
  event.preventDefault();
  ask(ctx.confirm, ctx.sourceElement).then((yes) => (yes ? issueRequest() : dropRequest()));
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.confirm || form.dataset.confirmed || event.defaultPrevented) return;
  event.preventDefault();
  ask(form.dataset.confirm, form).then((yes) => {
    if (!yes) return;
    form.dataset.confirmed = "yes";
    form.requestSubmit(event.submitter);
  });
});
