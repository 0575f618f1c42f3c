// Icons in scripts come from the same sprite as in templates; <body data-icons> says where it is.

const SVG = "http://www.w3.org/2000/svg";

/** An <svg> of the Lucide icon `name`, which must stand somewhere as a plain quoted word for the build to find. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${document.body.dataset.icons}#${name}`);
  svg.append(use);
  return svg;
}
