// Small things that fields do, for any page: listeners sit on document, so swapped-in fields have them too.

/** A slider and its number field say the same; the slider's filled part follows (components/slider.html). */
function syncSlider(field) {
  const slider = field.closest(".slider");
  if (!slider) return;
  const range = slider.querySelector('input[type="range"]');
  const number = slider.querySelector('input[type="number"]');
  (field === range ? number : range).value = field.value;
  const { min, max } = range;
  range.style.setProperty("--v", `${((range.value - min) / (max - min)) * 100}%`);
}

/** <textarea data-count="id"> keeps "105 / 2,000" in the element of that id. */
function count(field) {
  const shown = document.getElementById(field.dataset.count);
  if (!shown) return;
  const length = [...field.value].length;
  shown.textContent = `${length.toLocaleString("en")} / ${field.maxLength.toLocaleString("en")}`;
}

document.addEventListener("input", ({ target }) => {
  if (target.matches('.slider input[type="range"], .slider input[type="number"]')) syncSlider(target);
  if (target.dataset?.count) count(target);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-random], [data-copy], [data-reveal], [data-step]");
  if (!button) return;
  if (button.dataset.random) {
    setValue(button.dataset.random, crypto.getRandomValues(new Uint32Array(1))[0] >>> 1);
  } else if (button.dataset.copy !== undefined) {
    copy(button);
  } else if (button.dataset.reveal) {
    const field = document.getElementById(button.dataset.reveal);
    field.type = field.type === "password" ? "text" : "password";
    button.setAttribute("aria-pressed", String(field.type === "text"));
  } else {
    const field = button.parentElement.querySelector("input");
    button.dataset.step > 0 ? field.stepUp() : field.stepDown();
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }
});

function setValue(id, value) {
  const field = document.getElementById(id);
  field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.dispatchEvent(new Event("change", { bubbles: true }));
}

/** data-copy="text", or an empty data-copy with data-copy-from="id". */
async function copy(button) {
  const source = document.getElementById(button.dataset.copyFrom);
  await navigator.clipboard.writeText(button.dataset.copy || (source?.value ?? source?.textContent ?? "").trim());
  document.dispatchEvent(new CustomEvent("gesso:toast", { detail: { text: "Copied", kind: "ok" } }));
}

// A plain form is sent once: its button shows that it works, until the next page is there.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method === "dialog") return;
  const button = event.submitter;
  if (!button?.classList.contains("btn") || event.target.matches("[hx-post], [hx-get]")) return;
  if (button.classList.contains("is-busy")) {
    event.preventDefault();
    return;
  }
  const spinner = document.createElement("span");
  spinner.className = "spin";
  button.prepend(spinner);
  button.classList.add("is-busy");
});

// coming back by the browser's back button: nothing is being sent any more
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const button of document.querySelectorAll(".btn.is-busy")) {
    button.classList.remove("is-busy");
    button.querySelector(".spin")?.remove();
  }
});
