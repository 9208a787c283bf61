/** One question and what became of it: waiting, being written, answered, stopped, failed. */

import { alertList } from "./alerts.js";
import { announce, button, icon, make } from "./dom.js";
import { english, has, quote, say, t } from "./strings.js";
import { ALL_SUGGESTIONS } from "./suggestions.js";
import { VerdictBox } from "./verdicts.js";

const SENTENCE = /[^]*[.!?](?=\s)/;

export class Turn {
  node = make("li", { class: "turn" });
  #judge;
  #known;
  #answer = make("div", { class: "answer" });
  #status = make("p", { class: "status" });
  #words = make("p", { class: "words", lang: "en" });
  #said = 0;

  /** `known`: codes of the image's own alerts. `judge(entry, verdict)` stores a verdict and
   * resolves to all of the answer's. */
  constructor({ question, frame = 0, ownRead = "", numFrames = 1, known = [] }, judge) {
    this.#judge = judge;
    this.#known = known;
    this.node.append(askedPart(question, frame, numFrames));
    const parts = make("div", { class: ownRead === "" ? "parts" : "parts pair" });
    if (ownRead !== "") {
      const own = make("div", { class: "own" }, make("h4", { t: "read-first.own" }));
      own.append(make("p", { words: ownRead }));
      parts.append(own);
      this.#answer.append(make("h4", { t: "answer.title" }));
    }
    parts.append(this.#answer);
    this.node.append(parts);
    this.#answer.append(this.#status, this.#words);
    this.#words.hidden = true;
  }

  /** Its place in the queue. */
  queued(ahead) {
    this.#announceStatus(ahead > 0 ? "queue.ahead" : "queue.now", { ahead });
    this.#status.className = "status busy";
  }

  /** A piece of the answer. */
  add(piece) {
    this.#words.hidden = false;
    this.#words.classList.add("writing");
    this.#words.textContent += piece;
    if (this.#status.dataset.t !== "answer.writing") {
      say(this.#status, "answer.writing");
      this.#status.className = "status busy";
    }
    const whole = SENTENCE.exec(this.#words.textContent.slice(this.#said));
    if (whole !== null) {
      this.#said += whole[0].length;
      announce({ words: whole[0].trim(), lang: "en" });
    }
  }

  /** What was shown does not hold. */
  withdraw() {
    this.#words.textContent = "";
    this.#words.hidden = true;
    this.#said = 0;
    this.#announceStatus("answer.withdrawn");
  }

  /** The whole answer, as it stands in the history; or a stopped one. */
  finish(entry, { isNew }) {
    if (entry.answer === null) {
      this.stop({ isNew });
      return;
    }
    const answer = entry.answer;
    this.#status.remove();
    this.#words.classList.remove("writing");
    const title = this.#answer.querySelector("h4");
    this.#answer.replaceChildren(...(title ? [title] : []), ...answerParts(answer, this.#words));
    // That nothing was measured stands in place of the figure already.
    const alerts = answer.alerts.filter(({ code }) => code !== "not-calibrated");
    this.#answer.append(...alertList(alerts, { isNew, known: this.#known }));
    this.#answer.append(checksPart(answer, entry.timings));
    this.#answer.append(new VerdictBox(entry, (verdict) => this.#judge(entry, verdict)).node);
    if (isNew) {
      announce(...this.#heard(answer));
    }
  }

  stop({ isNew = true } = {}) {
    this.#words.classList.remove("writing");
    say(this.#status, "answer.stopped");
    this.#status.className = "status";
    if (isNew) {
      announce(t("answer.stopped"));
    }
  }

  /** It could not be answered: why, the server's own sentence, and a way to go on. */
  fail({ key, values = {}, detail = "", again = null }) {
    this.#words.textContent = "";
    this.#words.hidden = true;
    this.#said = 0;
    const problem = make("div", { class: "problem", role: "alert" }, make("p", { t: [key, values] }));
    if (detail !== "") {
      problem.append(make("p", { words: detail, lang: "en" }));
    }
    if (again !== null) {
      problem.append(button("again", "again", again));
    }
    this.#status.remove();
    this.#answer.querySelector(".problem")?.remove();
    this.#answer.append(problem);
  }

  /** It waits for a busy server: seconds that are left. */
  countdown(seconds, detail) {
    this.#answer.querySelector(".problem")?.remove();
    if (!this.#status.isConnected) {
      this.#answer.prepend(this.#status);
    }
    this.#status.className = "status busy";
    if (this.#status.dataset.t === "busy.countdown") {
      say(this.#status, "busy.countdown", { seconds });
    } else {
      this.#announceStatus("busy.countdown", { seconds });
    }
    this.#status.title = detail;
  }

  #announceStatus(key, values = {}) {
    const words = t(key, values);
    if (this.#status.textContent !== words) {
      announce(words);
    }
    say(this.#status, key, values);
  }

  #heard(answer) {
    const heard = answer.finding === null ? [] : [t(`report.finding.${answer.finding}`)];
    if (answer.is_withheld && answer.finding === null) {
      heard.push(t("report.finding.cannot-tell"));
    }
    if (!answer.is_withheld) {
      const key = translatedAnswer(answer);
      heard.push(key ? t(key) : { words: answer.text.slice(this.#said).trim(), lang: "en" });
    }
    return [...heard.flatMap((part) => [part, ". "]), figureOf(answer)];
  }
}

function askedPart(question, frame, numFrames) {
  const title = make("h3", { words: question });
  const part = make("div", { class: "asked" }, title);
  const key = ALL_SUGGESTIONS.find((name) => english(name) === question);
  if (key !== undefined) {
    title.lang = "en";
    part.append(make("p", { t: key, class: "translated" }));
  }
  if (numFrames > 1) {
    part.append(make("p", { t: ["frame.asked", { number: frame + 1 }], class: "small" }));
  }
  return part;
}

function answerParts(answer, words) {
  const finding = answer.is_withheld ? "cannot-tell" : answer.finding;
  const result = make("div", { class: "result" });
  if (finding !== null) {
    const badge = make("p", { class: `finding ${finding}` }, icon(finding));
    badge.append(make("span", { t: `report.finding.${finding}` }));
    result.append(badge);
  }
  if (!answer.is_withheld) {
    words.hidden = false;
    const key = translatedAnswer(answer);
    if (key !== null) {
      say(words, key);
      words.removeAttribute("lang");
    } else {
      quote(words, answer.text, "en");
    }
    result.append(words);
  }
  const parts = [result, make("p", { class: "figure", t: figureArguments(answer) })];
  if (answer.finish_reason === "length") {
    parts.push(make("p", { t: "answer.cut", class: "small" }));
  }
  return parts;
}

/** The key of an answer that the table has words for, else null. */
export function translatedAnswer({ kind, text }) {
  return kind === "yes-no" && has(`answer.${text}`) ? `answer.${text}` : null;
}

function figureOf(answer) {
  return t(...figureArguments(answer));
}

/** Key and values of the figure; never the model's own confidence, which is not calibrated. */
export function figureArguments({ calibrated, is_withheld: isWithheld }) {
  if (calibrated === null) {
    return [isWithheld ? "figure.withheld" : "figure.none"];
  }
  // Never "100 of 100", and never "0 of 100": no split is large enough to say that.
  const right = Math.min(Math.max(Math.round(100 * calibrated.probability), 1), 99);
  return ["figure.calibrated", { right, split: calibrated.split, n: calibrated.num_samples }];
}

function checksPart({ gates }, timings) {
  const details = make("details", { class: "small checks" }, make("summary", { t: "checks.title" }));
  const list = make("ul");
  for (const { gate, mode, outcome, why } of gates ?? []) {
    const item = make("li", { class: outcome });
    item.append(make("strong", { t: `report.gate.${gate}` }), make("span", { t: `report.outcome.${outcome}` }));
    if (mode === "off") {
      item.lastChild.replaceWith(make("span", { t: "report.outcome.off" }));
    }
    if (why) {
      item.append(make("span", { words: why, lang: "en" }));
    }
    list.append(item);
  }
  details.append(list);
  if (timings) {
    details.append(make("p", { t: ["checks.time", timeValues(timings)] }));
  }
  return details;
}

function timeValues({ wait_ms: wait, first_text_ms: first, total_ms: total }) {
  const seconds = (milliseconds) => (milliseconds / 1000).toFixed(1);
  return { wait: seconds(wait), first: seconds(first), total: seconds(total) };
}
