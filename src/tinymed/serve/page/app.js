/** The page: who is here, which image is open, what the server can do just now. */

import { Asking } from "./asking.js";
import { hideBanner, showBanner, countdown } from "./banner.js";
import { showCase } from "./case_panel.js";
import { Controls } from "./controls.js";
import { announce, byId, focusQuestion, loadIcons } from "./dom.js";
import { startKeys } from "./keys.js";
import { Opening } from "./opening.js";
import { fillPaper } from "./paper.js";
import { pause } from "./pause.js";
import * as server from "./server.js";
import { showSignIn } from "./sign_in.js";
import * as strings from "./strings.js";
import { startTheme } from "./theme.js";

const LOOK_AGAIN_S = 2;
/** Frames kept, the newest first to go when there are more. */
const MOST_FRAME_BYTES = 256_000_000;

class App {
  page = null;
  /** The open case, as the server gave it, with its history as it grows. */
  view = null;
  /** The frame that is shown, from 0. */
  frame = 0;
  /** Who this page was last shown to; null before anybody was. */
  #user = null;
  /** The files of the cases that were opened here, to open them again when the server has not. */
  #files = new Map();
  #frames = new Map();
  #fetching = null;
  #isWatching = false;
  #controls = new Controls((index) => this.#showFrame(index, { isSamePicture: true }));
  #opening = new Opening(this);
  #asking = new Asking(this);

  constructor() {
    startKeys({
      open: () => this.#opening.choose(),
      stop: () => this.#asking.stop(),
      picture: (key, how) => this.view !== null && this.#controls.key(key, how),
    });
    byId("sign-out").addEventListener("click", () => this.#signOut());
    byId("language").addEventListener("change", () => strings.chooseLanguage(byId("language").value));
    document.querySelector(".skip").addEventListener("click", (event) => {
      event.preventDefault();
      byId(this.view === null ? "choose" : "question").focus();
    });
    globalThis.addEventListener("popstate", () => this.#openFromAddress());
    globalThis.addEventListener("beforeprint", () => {
      fillPaper({ ...this, viewer: this.#controls.viewer, frame: this.#controls.shown });
    });
  }

  /** Ask the server who we are and whether it is ready; go on from there. */
  async enter() {
    try {
      this.page = await server.page();
    } catch (error) {
      if (!this.trouble(error)) {
        showBanner("failed", { detail: error.message });
      }
      return;
    }
    this.#showNotice();
    if (this.page.needs_sign_in && this.page.user === "") {
      hideBanner();
      showSignIn(() => this.enter());
      return;
    }
    if (this.#user !== null && this.#user !== this.page.user) {
      startAnew();
      return;
    }
    this.#user = this.page.user;
    byId("sign-in").hidden = true;
    byId("desk").hidden = false;
    byId("user").textContent = this.page.user;
    byId("sign-out").hidden = this.page.user === "";
    byId("question").maxLength = this.page.limits.max_question_characters;
    this.#showState(this.page.state);
    if (this.page.state !== "ready") {
      this.#watch();
    }
    this.#openFromAddress();
  }

  /** A case was made of a file. */
  opened(view, file) {
    this.#files.set(view.case, file);
    history.pushState(null, "", `#case=${view.case}`);
    this.#show(view);
  }

  /** Keep a verdict; gives all verdicts that the server has of the answer. */
  async judge(entry, verdict) {
    try {
      const stored = await server.judge(this.view.case, verdict);
      const now = { ...verdict, at: new Date().toISOString(), user: this.page.user };
      entry.verdicts = [...(entry.verdicts ?? []), stored ?? now];
    } catch (error) {
      this.trouble(error);
      throw error;
    }
    return entry.verdicts;
  }

  /** Deal with what concerns the whole page; false if the error is the caller's own matter. */
  trouble(error) {
    if (error instanceof server.Unreachable) {
      this.#watch();
    } else if (error.status === 401) {
      showSignIn(() => this.enter());
    } else if (error.isExpired && this.view !== null) {
      this.#expired();
    } else {
      return false;
    }
    return true;
  }

  #show(view) {
    const hadFocus = byId("drop").contains(document.activeElement);
    hideBanner("expired");
    this.#opening.complain(null);
    this.view = view;
    this.#frames.clear();
    byId("welcome").hidden = true;
    showCase(view, this.#files.get(view.case)?.name ?? "", {
      print: () => globalThis.print(),
      save: (kind, withPicture) => this.#save(kind, withPicture),
      forget: () => this.#forget(),
    });
    this.#asking.show(view);
    this.#showFrame(view.image.frame ?? 0, { isSamePicture: false });
    announce(strings.t("open.done"));
    if (hadFocus) {
      focusQuestion();
    }
  }

  #clear() {
    this.view = null;
    hideBanner("expired");
    this.#frames.clear();
    this.#fetching?.abort();
    this.#controls.clear();
    this.#asking.clear();
    byId("case").hidden = true;
    byId("welcome").hidden = false;
    byId("choose").focus();
  }

  async #showFrame(index, { isSamePicture }) {
    const { view } = this;
    this.frame = index;
    this.#fetching?.abort();
    this.#fetching = new AbortController();
    const { signal } = this.#fetching;
    this.#controls.wait({ isSamePicture });
    try {
      const frame = this.#frames.get(index) ?? (await server.frame(view.case, index, signal));
      if (!signal.aborted) {
        this.#keep(index, frame);
        this.#opening.takeBack("frame.refused");
        this.#controls.show(view.image, index, frame, { isSamePicture });
        byId("canvas").dataset.case = view.case;
      }
    } catch (error) {
      if (!signal.aborted) {
        this.frame = this.#controls.stay() ?? index;
        const detail = error instanceof server.Refused ? error.message : "";
        this.#opening.complain("frame.refused", { values: { number: index + 1 }, detail });
        this.trouble(error);
      }
    }
  }

  #keep(index, frame) {
    const size = (kept) => kept.pyramid.reduce((sum, { values }) => sum + values.byteLength, 0);
    const all = () => [...this.#frames.values()].reduce((sum, kept) => sum + size(kept), 0);
    this.#frames.delete(index);
    this.#frames.set(index, frame);
    while (this.#frames.size > 1 && all() > MOST_FRAME_BYTES) {
      this.#frames.delete(this.#frames.keys().next().value);
    }
  }

  async #save(kind, withPicture) {
    const query = `?language=${strings.currentLanguage()}&picture=${withPicture ? 1 : 0}`;
    try {
      const { name, blob } = await server.report(this.view.case, kind, kind === "pdf" ? query : "");
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      announce(strings.t("export.done"));
    } catch (error) {
      if (!this.trouble(error)) {
        this.#opening.complain("export.refused", { detail: error.message });
      }
    }
  }

  async #forget() {
    this.#asking.stop();
    try {
      await server.forget(this.view.case);
    } catch (error) {
      if (!error.isExpired) {
        if (!this.trouble(error)) {
          this.#opening.complain("case.not-forgotten", { detail: error.message });
        }
        return;
      }
    }
    history.pushState(null, "", "/");
    this.#files.delete(this.view.case);
    this.#clear();
    announce(strings.t("case.forgotten"));
  }

  /** Show what the address names: a case, or the start. */
  async #openFromAddress() {
    const id = addressedCase();
    if (id === (this.view?.case ?? null)) {
      return;
    }
    if (this.view !== null) {
      this.#clear();
    }
    if (id === null) {
      return;
    }
    try {
      const view = await server.getCase(id);
      if (id === addressedCase()) {
        this.#show(view);
      }
    } catch (error) {
      if (id !== addressedCase()) {
        return;
      }
      if (error.isExpired) {
        history.replaceState(null, "", "/");
        this.#opening.complain("server.expired");
      } else {
        this.trouble(error);
      }
    }
  }

  #expired() {
    const again = () => {
      hideBanner();
      const file = this.#files.get(this.view?.case);
      if (file === undefined) {
        this.#opening.choose();
      } else {
        this.#opening.open(file);
      }
    };
    showBanner("expired", { press: { key: "server.load-again", act: again } });
  }

  async #signOut() {
    await server.signOut().catch(() => {});
    startAnew();
  }

  /** The server's notice, in the reader's language if it is the one that we have words for. */
  #showNotice() {
    if (this.page.notice !== strings.english("report.notice")) {
      strings.quote(byId("notice"), this.page.notice, "en");
    }
  }

  #showState(state) {
    byId("state").hidden = false;
    byId("state").dataset.state = state;
    const model = [this.page?.model, this.page?.scheme].filter(Boolean).join(" · ");
    strings.say(byId("state-words"), `state.${state}`, { model });
  }

  /** Look at the server until it is ready, and say meanwhile what it is. */
  async #watch() {
    if (this.#isWatching) {
      return;
    }
    this.#isWatching = true;
    let state = await this.#look();
    const wasAway = state !== "ready";
    while (state !== "ready") {
      await pause(LOOK_AGAIN_S);
      state = await this.#look();
    }
    this.#isWatching = false;
    hideBanner("lost", "loading", "failed", "draining");
    const { view } = this;
    await this.enter();
    if (wasAway && view !== null && this.view === view) {
      this.#showFrame(this.frame, { isSamePicture: this.#controls.viewer.frame !== null });
      await server.getCase(view.case).catch((error) => this.trouble(error));
    }
  }

  async #look() {
    try {
      const { status, seconds, message } = await server.health();
      if (status !== "ready") {
        showBanner(status, { values: { seconds: Math.round(seconds ?? 0) }, detail: message ?? "" });
        this.#showState(status);
      }
      return status;
    } catch {
      showBanner("lost");
      countdown(LOOK_AGAIN_S, "server.again");
      this.#showState("lost");
      return "lost";
    }
  }
}

function addressedCase() {
  return new URLSearchParams(location.hash.slice(1)).get("case");
}

/** Leave nothing here of whoever was here before. */
function startAnew() {
  history.replaceState(null, "", "/");
  location.reload();
}

await Promise.all([strings.loadStrings(), loadIcons()]);
byId("language").value = strings.currentLanguage();
startTheme();
await new App().enter();
