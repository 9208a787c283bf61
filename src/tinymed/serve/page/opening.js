/** An image comes in: chosen, dropped or pasted; sent; waited for. */

import { byId } from "./dom.js";
import { pause } from "./pause.js";
import * as server from "./server.js";
import { quote, say } from "./strings.js";

const MEGABYTE = 1_000_000;

export class Opening {
  #app;
  #sending = null;

  /** `app`: page, opened(view, file), trouble(error). */
  constructor(app) {
    this.#app = app;
    const picker = byId("file");
    byId("open").addEventListener("click", () => this.choose());
    byId("choose").addEventListener("click", () => this.choose());
    byId("uploading-stop").addEventListener("click", () => this.#sending?.abort());
    picker.addEventListener("change", () => {
      this.#take([...picker.files]);
      picker.value = "";
    });
    this.#listenForDrops();
    document.addEventListener("paste", (event) => {
      if (event.clipboardData.files.length > 0) {
        event.preventDefault();
        this.#take([...event.clipboardData.files]);
      }
    });
  }

  choose() {
    if (!byId("desk").hidden) {
      byId("file").click();
    }
  }

  /** Send a file and open the case that the server makes of it; gives whether it is open. */
  async open(file) {
    this.complain(null);
    const most = this.#app.page?.limits?.max_upload_bytes ?? Infinity;
    if (file.size === 0) {
      this.complain("open.empty");
    } else if (file.size > most) {
      const sizes = { size: Math.ceil(file.size / MEGABYTE), most: Math.floor(most / MEGABYTE) };
      this.complain("open.too-large", { values: sizes });
    } else {
      return this.#send(file);
    }
    return false;
  }

  /** Say why there is no picture; null takes it away. */
  complain(key, { values = {}, detail = "" } = {}) {
    byId("open-problem").hidden = key === null;
    if (key !== null) {
      say(byId("open-problem-words"), key, values);
      quote(byId("open-problem-detail"), detail, "en");
      byId("open-problem").scrollIntoView({ block: "nearest" });
    }
  }

  /** What is said no longer holds, if it is this. */
  takeBack(key) {
    if (byId("open-problem-words").dataset.t === key) {
      this.complain(null);
    }
  }

  async #take(files) {
    if (byId("desk").hidden || files.length === 0) {
      return;
    }
    if ((await this.open(files[0])) && files.length > 1) {
      this.complain("open.first-alone", { values: { count: files.length } });
    }
  }

  async #send(file) {
    this.#sending?.abort();
    const sending = new AbortController();
    this.#sending = sending;
    byId("uploading").hidden = false;
    try {
      this.#app.opened(await this.#attempt(file, sending.signal), file);
      return true;
    } catch (error) {
      if (!sending.signal.aborted) {
        this.#fail(error);
      }
      return false;
    } finally {
      if (this.#sending === sending) {
        this.#sending = null;
        this.#hideProgress();
      }
    }
  }

  #hideProgress() {
    const hadFocus = byId("uploading").contains(document.activeElement);
    byId("uploading").hidden = true;
    if (hadFocus) {
      byId("open").focus();
    }
  }

  async #attempt(file, signal) {
    for (;;) {
      this.#progress(0);
      try {
        return await server.upload(file, { progress: (share) => this.#progress(share), signal });
      } catch (error) {
        if (!(error instanceof server.Refused && error.isBusy)) {
          throw error;
        }
        byId("uploading-bar").hidden = true;
        const tick = (seconds) => say(byId("uploading-words"), "busy.countdown", { seconds });
        await pause(error.retryAfterS ?? 5, { tick, signal });
      }
    }
  }

  #progress(share) {
    const bar = byId("uploading-bar");
    bar.hidden = false;
    if (share < 1) {
      bar.value = share;
      say(byId("uploading-words"), "open.sending");
    } else {
      bar.removeAttribute("value");
      say(byId("uploading-words"), "open.reading");
    }
  }

  #fail(error) {
    if (!this.#app.trouble(error)) {
      const key = error.status === 413 ? "open.too-large-for-server" : "open.refused";
      this.complain(key, { detail: error.message });
    }
  }

  #listenForDrops() {
    const sign = byId("dropping");
    let depth = 0;
    const over = (change) => {
      depth = Math.max(depth + change, 0);
      sign.hidden = depth === 0;
    };
    document.addEventListener("dragenter", () => over(1));
    document.addEventListener("dragleave", () => over(-1));
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      over(-depth);
      this.#take([...event.dataTransfer.files]);
    });
  }
}
