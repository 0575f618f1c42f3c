// The filters of the history change it in place; as links they work by themselves too.
import htmx from "htmx.org";

document.addEventListener("click", async (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  const link = event.target.closest("a[data-history]");
  if (!link) return;
  event.preventDefault();
  const address = link.getAttribute("href");
  const opener = document.querySelector(`[popovertarget="${link.closest("[popover]")?.id}"]`)?.getAttribute("popovertarget");
  history.replaceState(history.state, "", address);
  await htmx.ajax("GET", address, { target: "#history", select: "#history", swap: "outerHTML" });
  document.querySelector(`[popovertarget="${opener}"]`)?.focus();
});
