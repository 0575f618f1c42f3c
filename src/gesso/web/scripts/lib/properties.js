// Values given as data-attributes become custom properties. styles/properties.css does the same, earlier,
// in browsers whose attr() knows types; a morph removes neither (see morphIgnore in base templates).
import { all } from "./content.js";

const RULES = [
  ["[data-ratio]", (element, { ratio }) => ({ "--ratio": ratio, "--a": ratio })],
  ["[data-value]", (element, { value }) => ({ "--v": `${value}%` })],
  ["[data-cols]", (element, { cols }) => ({ "--cols": cols })],
  [".size[data-w]", (element, { w, h }) => ({ "--w": w, "--h": h })],
];

export function setProperties(root) {
  for (const [selector, read] of RULES) {
    for (const element of all(root, selector)) {
      for (const [name, value] of Object.entries(read(element, element.dataset))) {
        element.style.setProperty(name, value);
      }
    }
  }
}
