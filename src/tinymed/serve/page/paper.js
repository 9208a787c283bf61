/** The print view: case, picture as it is shown, answers, and the notice on every sheet. */

import { sayAlert } from "./alerts.js";
import { byId, make } from "./dom.js";
import { figureArguments, translatedAnswer } from "./turn.js";
import { timeOf, verdictItem } from "./verdicts.js";

const PICTURE_PX = 1200;

/** Fill the sheet; the head of a table is repeated on every page. */
export function fillPaper({ page, view, viewer, frame }) {
  const head = make("th");
  head.append(make("p", { class: "paper-notice", words: byId("notice").textContent }));
  const body = make("td");
  if (view !== null) {
    body.append(...caseParts(page, view));
    if (viewer.frame !== null) {
      body.append(make("figure", {}, viewer.picture(PICTURE_PX), shownPart(viewer, frame)));
    }
    const turns = view.history.filter(({ answer }) => answer !== null);
    body.append(...turns.map((entry) => turnPart(entry, view.image.num_frames)));
    if (turns.length === 0) {
      body.append(make("p", { t: "report.no_questions" }));
    }
  }
  const rows = make("tbody", {}, make("tr", {}, body));
  byId("paper").replaceChildren(make("thead", {}, make("tr", {}, head)), rows);
}

function caseParts(page, { case: id, image, alerts }) {
  const facts = [
    ["report.case", id],
    ["paper.printed", timeOf(new Date())],
    ["paper.user", page?.user],
    ["report.image", [image.modality, image.body_part, `${image.width} × ${image.height}`].filter(Boolean).join(" · ")],
    ["report.image.sha256", image.sha256],
    ["report.model", [page?.model, page?.scheme].filter(Boolean).join(" · ")],
    ["report.model.weights", page?.weights_sha256],
  ].filter(([, value]) => value);
  const list = make("dl");
  for (const [key, value] of facts) {
    list.append(make("dt", { t: key }), make("dd", { words: value }));
  }
  return [make("h2", { t: "report.title" }), list, ...alertParts(alerts)];
}

function shownPart({ window, isInverted }, frame) {
  const values = { center: Math.round(window.center), width: Math.round(window.width), number: frame + 1 };
  return make("figcaption", { t: [isInverted ? "paper.shown-inverted" : "paper.shown", values] });
}

function turnPart(entry, numFrames) {
  const { question, answer, own_read: ownRead, verdicts, asked_at: at } = entry;
  const part = make("section", { class: "paper-turn" }, make("h3", { words: question }));
  const when = make("p", { words: timeOf(at) });
  if (numFrames > 1) {
    when.append(" · ", make("span", { t: ["frame.asked", { number: entry.frame + 1 }] }));
  }
  part.append(when);
  if (ownRead) {
    part.append(make("h4", { t: "read-first.own" }), make("p", { words: ownRead }));
  }
  part.append(make("h4", { t: "answer.title" }));
  const finding = answer.is_withheld ? "cannot-tell" : answer.finding;
  if (finding !== null) {
    part.append(make("p", { t: `report.finding.${finding}`, class: "paper-finding" }));
  }
  if (!answer.is_withheld) {
    const key = translatedAnswer(answer);
    part.append(make("p", key === null ? { words: answer.text, lang: "en" } : { t: key }));
  }
  part.append(make("p", { t: figureArguments(answer) }), ...alertParts(answer.alerts));
  const decided = (verdicts ?? []).map(verdictItem);
  const none = make("p", { t: "report.verdict.none" });
  part.append(make("h4", { t: "report.verdict" }));
  part.append(decided.length > 0 ? make("ul", {}, ...decided) : none);
  return part;
}

function alertParts(alerts) {
  return alerts.map((alert) => sayAlert(make("p", { class: "paper-alert" }), alert));
}
