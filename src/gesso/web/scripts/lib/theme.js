// The theme is a cookie, so that the server draws the page in it from the start.

const YEAR = 365 * 24 * 60 * 60;

/** The theme on screen now, chosen or the system's. */
export function currentTheme() {
  return (
    document.documentElement.dataset.theme ??
    (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark")
  );
}

export function setTheme(theme) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `gesso_theme=${theme}; Path=/; Max-Age=${YEAR}; SameSite=Lax${secure}`;
  document.documentElement.dataset.theme = theme;
  document.dispatchEvent(new CustomEvent("gesso:theme", { detail: { theme } }));
}

export function toggleTheme() {
  setTheme(currentTheme() === "light" ? "dark" : "light");
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-theme-toggle]")) toggleTheme();
});
