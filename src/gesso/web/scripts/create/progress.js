// Between two words of the server, progress goes on by time: providers of pictures tell no percentage, so what
// is shown is the share of the time that this model usually takes.
const STEP = 250;
const ALMOST = 95;

const clocks = new WeakMap(); // tile → {percent, eta, at} as the server said last

function tick() {
  const now = performance.now();
  for (const tile of document.querySelectorAll('.tile[data-state="running"][data-eta]')) {
    const bar = tile.querySelector(".progress");
    const said = bar.querySelector("i").dataset.value;
    let clock = clocks.get(tile);
    if (!clock || clock.said !== said || clock.told !== tile.dataset.eta) {
      clock = { said, told: tile.dataset.eta, percent: Number(said), eta: Number(tile.dataset.eta), at: now };
      clocks.set(tile, clock);
    }
    const passed = (now - clock.at) / 1000;
    const whole = clock.eta / Math.max(1 - clock.percent / 100, 0.05);
    const percent = Math.min(ALMOST, clock.percent + (passed / whole) * 100);
    const left = Math.ceil(clock.eta - passed);
    bar.querySelector("i").style.setProperty("--v", `${percent}%`);
    bar.setAttribute("aria-valuenow", Math.round(percent));
    tile.querySelector(".num").textContent =
      percent < ALMOST && left > 0 ? `${Math.round(percent)} % · about ${left} s left` : "taking longer than usual";
  }
}

setInterval(() => document.hidden || tick(), STEP);
