/** Elements, made without markup: whatever comes in is text. */

import { quote, say } from "./strings.js";

const SVG = "http://www.w3.org/2000/svg";

/** The element of an id that index.html has. */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Make an element.
 *
 * `t`: a key, or [key, values]; `label` and `title`: keys of its accessible name and tooltip;
 * `words`: text of no table, `lang` its language; `on`: listeners by event; all else: attributes.
 */
export function make(tag, options = {}, ...children) {
  const node = document.createElement(tag);
  const { t, label, title, words, lang, on = {}, ...attributes } = options;
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  if (t !== undefined) {
    say(node, ...[t].flat());
  }
  if (label !== undefined) {
    say(node, ...named(label), "aria-label");
  }
  if (title !== undefined) {
    say(node, ...named(title), "title");
  }
  if (words !== undefined) {
    quote(node, words, lang);
  }
  for (const [name, listener] of Object.entries(on)) {
    node.addEventListener(name, listener);
  }
  node.append(...children);
  return node;
}

/** Bring the icons into the page: they are to be there when the server is gone. */
export async function loadIcons() {
  const response = await fetch("/page/icons.svg");
  const sheet = new DOMParser().parseFromString(await response.text(), "image/svg+xml");
  sheet.documentElement.setAttribute("class", "unseen");
  sheet.documentElement.setAttribute("aria-hidden", "true");
  document.body.prepend(document.importNode(sheet.documentElement, true));
}

/** An icon of the sheet, for the eye alone. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** A button with an icon and words. */
export function button(key, iconName, press, options = {}) {
  const node = make("button", { type: "button", on: { click: press }, ...options });
  node.append(icon(iconName), make("span", { t: key }));
  return node;
}

/** To the next question. On a phone not into its field: a keyboard would cover the answer. */
export function focusQuestion() {
  const isTouch = matchMedia("(pointer: coarse)").matches;
  byId(isTouch ? "scroll" : "question").focus({ preventScroll: isTouch });
}

/** Say something to a screen reader, politely; whole sentences only: words in the page's
 * language, or {words, lang} in another. */
export function announce(...parts) {
  const live = byId("live");
  const spans = parts.map((part) => make("span", typeof part === "string" ? { words: part } : part));
  live.append(make("p", {}, ...spans));
  while (live.childElementCount > 4) {
    live.firstElementChild.remove();
  }
}

function named(key) {
  const [name, values = {}] = [key].flat();
  return [name, values];
}
