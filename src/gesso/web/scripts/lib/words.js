// What the edition calls a picture and a credit, one and many: the page's head says it.
const words = JSON.parse(document.querySelector('meta[name="wording"]').content);

/** @param {"picture" | "pictures" | "credit" | "credits"} name */
export const word = (name) => words[name];

/** The same at the beginning of a sentence. */
export const title = (name) => word(name).replace(/^./, (first) => first.toUpperCase());

/** The same with its article: "a picture", "an image". */
export const an = (name) => `${/^[aeiou]/i.test(word(name)) ? "an" : "a"} ${word(name)}`;
