// Arrow keys choose a column of the chart: its sign shows and is read out. The pointer needs no script.
const CHOSEN = "is-chosen";

function columns(plot) {
  const drawing = [...plot.querySelectorAll("svg")].find((one) => one.getClientRects().length);
  return [...(drawing?.querySelectorAll(".chart__at") ?? [])];
}

function choose(plot, column) {
  for (const other of plot.querySelectorAll(`.${CHOSEN}`)) other.classList.remove(CHOSEN);
  column?.classList.add(CHOSEN);
  plot.querySelector("[data-chart-said]").textContent = column?.dataset.said ?? "";
}

document.addEventListener("keydown", (event) => {
  const plot = event.target.closest?.("[data-chart]");
  if (!plot || event.target !== plot || event.altKey || event.ctrlKey || event.metaKey) return;
  const all = columns(plot);
  const at = all.findIndex((one) => one.classList.contains(CHOSEN));
  const last = all.length - 1;
  const to = {
    ArrowLeft: at < 0 ? last : Math.max(at - 1, 0),
    ArrowRight: Math.min(at + 1, last),
    Home: 0,
    End: last,
  }[event.key];
  if (event.key === "Escape" && at >= 0) choose(plot, null);
  else if (to !== undefined) choose(plot, all[to]);
  else return;
  event.preventDefault();
});

document.addEventListener("focusout", (event) => {
  if (event.target.matches?.("[data-chart]")) choose(event.target, null);
});
