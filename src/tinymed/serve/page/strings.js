/** Every word of the page comes from strings.json; nodes remember their key, so that the
 * language can change without anything being drawn anew. */

export const LANGUAGES = ["en", "fr", "pt", "sw"];
const ATTRIBUTES = ["aria-label", "aria-valuetext", "title", "placeholder"];
const STORED = "tinymed-language";

let table = {};
let language = "en";
const valuesOf = new WeakMap();

/** Fetch the table and choose the language: the one chosen before, else the browser's. */
export async function loadStrings() {
  const response = await fetch("/page/strings.json", { cache: "no-store" });
  table = await response.json();
  const wanted = [localStorage.getItem(STORED), ...navigator.languages];
  const known = wanted.map((tag) => (tag ?? "").slice(0, 2)).find((tag) => LANGUAGES.includes(tag));
  show(known ?? "en");
}

/** Change the language of the whole page and remember it. */
export function chooseLanguage(tag) {
  localStorage.setItem(STORED, tag);
  show(tag);
}

export function currentLanguage() {
  return language;
}

export function has(key) {
  return Object.hasOwn(table, key);
}

/** The words of a key; `{name}` is replaced by `values.name`, called if it is a function. */
export function t(key, values = {}) {
  return filled(table[key][language], values);
}

/** The English words of a key: what is sent to a model that reads English. */
export function english(key) {
  return table[key].en;
}

/** Put a key's words into a node, or into one of its attributes. */
export function say(node, key, values = {}, attribute = "") {
  node.setAttribute(attribute === "" ? "data-t" : `data-t-${attribute}`, key);
  const kept = valuesOf.get(node) ?? {};
  kept[attribute] = values;
  valuesOf.set(node, kept);
  put(node, attribute, key);
}

/** Put words that are in no table into a node: a question, an answer, a server's sentence. */
export function quote(node, words, tag = "") {
  node.removeAttribute("data-t");
  node.textContent = words;
  if (tag === "") {
    node.removeAttribute("lang");
  } else {
    node.lang = tag;
  }
}

function filled(words, values) {
  return words.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    return value === undefined ? whole : String(typeof value === "function" ? value() : value);
  });
}

function put(node, attribute, key) {
  const words = t(key, valuesOf.get(node)?.[attribute]);
  if (attribute === "") {
    node.textContent = words;
  } else {
    node.setAttribute(attribute, words);
  }
}

function show(tag) {
  language = tag;
  document.documentElement.lang = tag;
  for (const node of document.querySelectorAll("[data-t]")) {
    put(node, "", node.getAttribute("data-t"));
  }
  for (const attribute of ATTRIBUTES) {
    for (const node of document.querySelectorAll(`[data-t-${attribute}]`)) {
      put(node, attribute, node.getAttribute(`data-t-${attribute}`));
    }
  }
  document.dispatchEvent(new Event("language"));
}
