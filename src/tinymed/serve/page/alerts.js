/** What a reader of an answer has to know, each in the reader's language. */

import { icon, make } from "./dom.js";
import { has, quote, say } from "./strings.js";

/**
 * A list of alerts, as no node or one.
 *
 * `isNew`: a screen reader says them at once. `known`: codes that stand above the conversation
 * with all their details; here a line is enough.
 */
export function alertList(alerts, { isNew, known = [] }) {
  if (alerts.length === 0) {
    return [];
  }
  const isKnown = ({ code, withholds }) => known.includes(code) && !withholds;
  const items = [
    ...alerts.filter((alert) => !isKnown(alert)).map(alertItem),
    ...alerts.filter(isKnown).map(alertLine),
  ];
  const list = make("ul", { class: "alerts" }, ...items);
  return [make("div", isNew ? { role: "alert" } : {}, list)];
}

/** Put an alert's sentence into a node: ours, or the server's for a code that we do not know. */
export function sayAlert(node, { code, detail }) {
  if (has(`alert.${code}`)) {
    say(node, `alert.${code}`);
  } else {
    quote(node, detail, "en");
  }
  return node;
}

function alertItem(alert) {
  const detail = make("details", { class: "small" }, make("summary", { t: "alert.detail" }));
  detail.append(make("p", { words: alert.detail, lang: "en" }));
  const figures = Object.entries(alert.figures ?? {});
  if (figures.length > 0) {
    detail.append(make("p", { words: figures.map(figureWords).join(" · "), lang: "en" }));
  }
  const words = make("div", {}, sayAlert(make("p"), alert));
  if (alert.withholds) {
    words.append(make("p", { t: "alert.withholds", class: "small" }));
  }
  words.append(detail);
  const kind = alert.withholds ? "alert withholds" : "alert";
  return make("li", { class: kind }, icon("warning"), words);
}

function alertLine(alert) {
  return make("li", { class: "alert line" }, icon("warning"), sayAlert(make("p"), alert));
}

function figureWords([name, value]) {
  return `${name.replaceAll("_", " ")} ${Number(value.toPrecision(3))}`;
}
