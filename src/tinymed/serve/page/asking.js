/** The form for questions, and the way of one question through the server. */

import { byId, focusQuestion, make } from "./dom.js";
import { pause } from "./pause.js";
import * as server from "./server.js";
import { currentLanguage, english, quote, say } from "./strings.js";
import { suggestionsFor } from "./suggestions.js";
import { Turn } from "./turn.js";

const MOST_SUGGESTIONS = 5;

export class Asking {
  #app;
  #stopping = null;

  /** `app`: view, frame, trouble(error), judge(entry, verdict). */
  constructor(app) {
    this.#app = app;
    byId("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    // It comes up under the finger that asked: the second click of two is not meant for it.
    byId("stop").addEventListener("click", ({ detail }) => detail > 1 || this.stop());
    byId("read-first").addEventListener("change", () => this.#readFirst());
    for (const id of ["question", "own-read"]) {
      byId(id).addEventListener("input", () => this.#complain(null));
    }
    byId("question").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.#submit();
      }
    });
    document.addEventListener("language", () => this.#hint());
  }

  /** Show a case: its suggestions, and its history. */
  show(view) {
    this.stop();
    const keys = suggestionsFor(view.image).slice(0, MOST_SUGGESTIONS);
    byId("suggestions").replaceChildren(...keys.map((key) => this.#suggestion(key)));
    byId("turns").replaceChildren();
    for (const entry of view.history) {
      this.#append(entry.question, entry).finish(entry, { isNew: false });
      this.#spendSuggestion(entry.question);
    }
    byId("ask").hidden = false;
    this.#complain(null);
    this.#hint();
  }

  clear() {
    this.stop();
    byId("turns").replaceChildren();
    byId("ask").hidden = true;
  }

  /** Stop the answer that is being written, if one is. */
  stop() {
    this.#stopping?.abort();
  }

  #suggestion(key) {
    // After an answer at once, the second click of two would fall on the next suggestion.
    const press = ({ detail }) => {
      if (detail < 2) {
        byId("question").value = english(key);
        this.#submit();
      }
    };
    return make("button", { type: "button", class: "chip", t: key, on: { click: press } });
  }

  /** A question that was asked need not be suggested again, unless there are other frames. */
  #spendSuggestion(question) {
    const chips = [...byId("suggestions").children];
    const spent = chips.find((chip) => english(chip.dataset.t) === question);
    if (this.#app.view.image.num_frames === 1) {
      spent?.remove();
    }
  }

  #hint() {
    say(byId("ask-hint"), currentLanguage() === "en" ? "ask.hint" : "ask.hint-english");
  }

  #readFirst() {
    const isOn = byId("read-first").checked;
    byId("own-read-field").hidden = !isOn;
    this.#complain(null);
    byId(isOn ? "own-read" : "question").focus();
  }

  #submit() {
    const question = byId("question").value.trim();
    const isOwnFirst = byId("read-first").checked;
    const ownRead = isOwnFirst ? byId("own-read").value.trim() : "";
    if (this.#stopping !== null) {
      return;
    }
    if (isOwnFirst && ownRead === "") {
      this.#complain("read-first.needed", "own-read");
    } else if (question === "") {
      this.#complain("ask.empty", "question");
    } else {
      byId("question").value = "";
      byId("own-read").value = "";
      this.#ask({ question, frame: this.#app.frame, own_read: ownRead });
    }
  }

  #complain(key, id = null) {
    for (const field of ["question", "own-read"]) {
      byId(field).setAttribute("aria-invalid", String(field === id));
    }
    if (key === null) {
      quote(byId("ask-problem"), "");
    } else {
      say(byId("ask-problem"), key);
      byId(id).focus();
    }
  }

  #append(question, { frame, own_read: ownRead }) {
    const { image, alerts } = this.#app.view;
    const judge = (entry, verdict) => this.#app.judge(entry, verdict);
    const known = alerts.map(({ code }) => code);
    const facts = { question, frame, ownRead: ownRead ?? "", numFrames: image.num_frames, known };
    const turn = new Turn(facts, judge);
    byId("turns").append(turn.node);
    return turn;
  }

  async #ask(asked) {
    const view = this.#app.view;
    const stopping = new AbortController();
    const turn = this.#append(asked.question, asked);
    this.#setBusy(stopping);
    turn.queued(0);
    this.#spendSuggestion(asked.question);
    turn.node.scrollIntoView({ block: "start" });
    try {
      await this.#attempt(view, turn, asked, stopping.signal);
    } catch (error) {
      if (stopping.signal.aborted) {
        turn.stop();
      } else {
        this.#fail(turn, asked, error);
      }
    } finally {
      if (this.#stopping === stopping) {
        this.#setBusy(null);
      }
    }
  }

  async #attempt(view, turn, asked, signal) {
    const heard = (name, data) => this.#hear(view, turn, asked, { name, data });
    for (;;) {
      try {
        await server.ask(view.case, asked, { heard, signal });
        return;
      } catch (error) {
        if (!(error instanceof server.Refused && error.isBusy)) {
          throw error;
        }
        const tick = (seconds) => turn.countdown(seconds, error.message);
        await pause(error.retryAfterS ?? 5, { tick, signal });
      }
    }
  }

  #hear(view, turn, asked, { name, data }) {
    if (name === "queued") {
      turn.queued(data.ahead);
    } else if (name === "text") {
      turn.add(data.piece);
    } else if (name === "withdrawn") {
      turn.withdraw();
    } else if (name === "answer") {
      view.history.push(data);
      turn.finish(data, { isNew: true });
    } else if (name === "error") {
      turn.fail({ key: "answer.failed", detail: data.message, again: this.#again(turn, asked) });
    }
    turn.node.scrollIntoView({ block: "nearest" });
  }

  #fail(turn, asked, error) {
    const detail = error instanceof server.Refused ? error.message : "";
    const isOurs = this.#app.trouble(error);
    if (error instanceof server.Unreachable) {
      turn.fail({ key: "answer.lost", again: this.#again(turn, asked) });
    } else if (error.isExpired) {
      turn.fail({ key: "answer.expired" });
      byId("question").value ||= asked.question;
      byId("own-read").value ||= asked.own_read;
    } else {
      turn.fail({ key: "answer.refused", detail, again: isOurs ? this.#again(turn, asked) : null });
      byId("question").value ||= asked.question;
      byId("own-read").value ||= asked.own_read;
    }
    turn.node.scrollIntoView({ block: "nearest" });
  }

  /** Ask the same again, in the place of the turn that failed. */
  #again(turn, asked) {
    return () => {
      if (this.#stopping === null) {
        turn.node.remove();
        this.#ask(asked);
        focusQuestion();
      }
    };
  }

  #setBusy(stopping) {
    const hadFocus = ["send", "stop"].includes(document.activeElement?.id);
    this.#stopping = stopping;
    byId("send").hidden = stopping !== null;
    byId("stop").hidden = stopping === null;
    byId("suggestions").querySelectorAll("button").forEach((chip) => (chip.disabled = stopping !== null));
    if (hadFocus) {
      if (stopping === null) {
        focusQuestion();
      } else {
        byId("stop").focus();
      }
    }
  }
}
