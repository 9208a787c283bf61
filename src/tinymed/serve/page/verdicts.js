/** Accept, reject or edit an answer, with the reason; and what was decided before. */

import { announce, button, make } from "./dom.js";
import { Refused } from "./server.js";
import { currentLanguage, quote, say, t } from "./strings.js";

/** The part of an answer where a clinician judges it. */
export class VerdictBox {
  node = make("div", { class: "verdict" });
  #entry;
  #send;
  #buttons;
  #place = make("div");
  #list = make("ul", { class: "verdicts" });

  /** `send(verdict)` resolves to all verdicts that the server then has. */
  constructor(entry, send) {
    this.#entry = entry;
    this.#send = send;
    this.#buttons = make(
      "div",
      { class: "buttons", role: "group", label: "verdict.label" },
      button("verdict.accept", "accept", ({ detail }) => detail > 1 || this.#accept()),
      button("verdict.reject", "reject", () => this.#ask("reject")),
      button("verdict.edit", "edit", () => this.#ask("edit")),
    );
    this.node.append(this.#list, this.#buttons, this.#place);
    this.#show(entry.verdicts ?? []);
  }

  #show(verdicts) {
    this.#list.replaceChildren(...verdicts.map(verdictItem));
    this.#list.hidden = verdicts.length === 0;
    const last = verdicts.at(-1)?.decision;
    for (const [index, decision] of ["accept", "reject", "edit"].entries()) {
      this.#buttons.children[index].setAttribute("aria-pressed", String(decision === last));
    }
  }

  /** A second click decides nothing new. */
  #accept() {
    if (this.#entry.verdicts?.at(-1)?.decision !== "accept") {
      this.#decide({ decision: "accept" });
    }
  }

  #ask(decision) {
    const form = new VerdictForm(decision, this.#entry.answer.text, {
      save: (verdict) => this.#decide(verdict),
      cancel: () => this.#close(decision),
    });
    this.#place.replaceChildren(form.node);
    form.focus();
  }

  #close(decision) {
    this.#place.replaceChildren();
    const index = ["accept", "reject", "edit"].indexOf(decision);
    this.#buttons.children[index].focus();
  }

  async #decide(verdict) {
    const controls = [...this.node.querySelectorAll("button, textarea")];
    controls.forEach((control) => (control.disabled = true));
    try {
      this.#show(await this.#send({ reason: "", text: "", ...verdict, answer: this.#entry.id }));
      announce(t("verdict.stored"));
      controls.forEach((control) => (control.disabled = false));
      this.#close(verdict.decision);
    } catch (error) {
      controls.forEach((control) => (control.disabled = false));
      this.#complain(error);
    }
  }

  #complain(error) {
    this.#place.querySelector(".problem")?.remove();
    const problem = make("div", { class: "problem", role: "alert" });
    problem.append(make("p", { t: "verdict.not-stored" }));
    if (error instanceof Refused && error.message !== "") {
      problem.append(make("p", { words: error.message, lang: "en" }));
    }
    this.#place.append(problem);
    problem.scrollIntoView({ block: "nearest" });
  }
}

class VerdictForm {
  node;
  #decision;
  #text;
  #reason;
  #problem = make("p", { class: "problem-line", role: "alert" });

  constructor(decision, answer, { save, cancel }) {
    this.#decision = decision;
    const required = decision === "reject";
    this.#reason = make("textarea", { rows: "2", maxlength: "2000", "aria-required": String(required) });
    this.node = make("form", { class: "verdict-form", novalidate: true });
    if (decision === "edit") {
      this.#text = make("textarea", { rows: "2", maxlength: "2000", "aria-required": "true" });
      this.#text.value = answer;
      this.node.append(make("label", {}, make("span", { t: "verdict.text" }), this.#text));
    }
    const reasonKey = required ? "verdict.reason" : "verdict.reason-optional";
    this.node.append(
      make("label", {}, make("span", { t: reasonKey }), this.#reason),
      this.#problem,
      make(
        "div",
        { class: "buttons" },
        make("button", { type: "submit", class: "strong", t: `verdict.save-${decision}` }),
        make("button", { type: "button", t: "cancel", on: { click: cancel } }),
      ),
    );
    this.node.addEventListener("input", () => this.#need(null));
    this.node.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(save);
    });
    this.node.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        cancel();
      }
    });
  }

  focus() {
    (this.#text ?? this.#reason).focus();
  }

  #submit(save) {
    const reason = this.#reason.value.trim();
    const text = this.#text?.value.trim() ?? "";
    if (this.#decision === "reject" && reason === "") {
      this.#need(this.#reason, "verdict.reason-needed");
    } else if (this.#decision === "edit" && text === "") {
      this.#need(this.#text, "verdict.text-needed");
    } else {
      save({ decision: this.#decision, reason, text });
    }
  }

  #need(field, key) {
    for (const one of this.node.querySelectorAll("textarea")) {
      one.setAttribute("aria-invalid", String(one === field));
    }
    if (field === null) {
      quote(this.#problem, "");
    } else {
      say(this.#problem, key);
      field.focus();
    }
  }
}

/** One decision, as a line. */
export function verdictItem({ decision, reason, text, at, user }) {
  const item = make("li", { class: `decided ${decision}` });
  item.append(make("strong", { t: `report.verdict.${decision}` }));
  if (text) {
    item.append(make("span", { words: text, class: "own-words" }));
  }
  if (reason) {
    item.append(make("span", { t: ["report.verdict.reason", { reason }] }));
  }
  const who = make("span", { class: "small" });
  if (user) {
    say(who, "verdict.by", { user, time: () => timeOf(at) });
  } else {
    quote(who, timeOf(at));
  }
  item.append(who);
  return item;
}

/** A moment as the reader's language writes it. */
export function timeOf(moment) {
  const options = { dateStyle: "short", timeStyle: "short" };
  return new Intl.DateTimeFormat(currentLanguage(), options).format(new Date(moment));
}
