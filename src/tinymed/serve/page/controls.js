/** The buttons, keys, presets and the slider around the picture. */

import { byId, make } from "./dom.js";
import { CT_WINDOWS, fullWindow, ownWindow } from "./levels.js";
import { quote, say } from "./strings.js";
import { Viewer } from "./viewer.js";

const ZOOM_STEP = 1.25;
const KEY_STEPS = 10;
const KEY_PAN_PX = 40;

export class Controls {
  viewer;
  #image = null;
  /** The frame that is wanted; `shown`: the one that stands there. */
  #index = 0;
  shown = 0;
  #choose;
  #settling = 0;

  /** `choose(index)` is called when another frame is wanted. */
  constructor(choose) {
    this.#choose = choose;
    this.viewer = new Viewer(byId("surface"), byId("canvas"), () => this.#tell());
    this.#listen();
    this.clear();
  }

  /** A frame is on its way. Of another picture: the one before must not stand there meanwhile. */
  wait({ isSamePicture }) {
    byId("fetching").hidden = false;
    byId("stage").setAttribute("aria-busy", "true");
    if (!isSamePicture) {
      clearTimeout(this.#settling);
      this.#image = null;
      this.viewer.clear();
      quote(byId("readout"), "");
      say(byId("canvas"), "open.reading", {}, "aria-label");
      byId("drop").hidden = true;
      byId("frames").hidden = true;
    }
  }

  /** The frame will not come: back to the one that is shown. Gives it, or null if there is none. */
  stay() {
    if (this.#image === null) {
      this.clear();
      return null;
    }
    this.#arrive();
    byId("frame").value = String(this.shown);
    this.#index = this.shown;
    this.#tellFrame(this.shown);
    return this.shown;
  }

  /** Show a frame of an image; `isSamePicture`: of the one that is shown already. */
  show(image, index, frame, { isSamePicture }) {
    this.#arrive();
    this.#image = image;
    this.#index = index;
    this.shown = index;
    this.viewer.show(frame, { isSamePicture });
    if (!isSamePicture) {
      this.#offerPresets(frame);
    }
    byId("drop").hidden = true;
    document.querySelectorAll(".with-picture").forEach((node) => (node.hidden = false));
    byId("frames").hidden = image.num_frames < 2;
    byId("frame").max = String(image.num_frames - 1);
    byId("frame").value = String(index);
    this.#tellFrame(index);
  }

  clear() {
    this.#arrive();
    this.#image = null;
    this.viewer.clear();
    byId("drop").hidden = false;
    byId("frames").hidden = true;
    document.querySelectorAll(".with-picture").forEach((node) => (node.hidden = true));
  }

  #arrive() {
    byId("fetching").hidden = true;
    byId("stage").removeAttribute("aria-busy");
  }

  /** What a key does to the picture, if anything. */
  key(key, { shift }) {
    const act = this.#keys(shift)[key];
    act?.();
    return act !== undefined;
  }

  #keys(shift) {
    const arrow = (dx, dy) =>
      shift
        ? () => this.viewer.panBy(-dx * KEY_PAN_PX, dy * KEY_PAN_PX)
        : () => this.viewer.brightenBy(dx * KEY_STEPS, dy * KEY_STEPS);
    return {
      ArrowLeft: arrow(-1, 0),
      ArrowRight: arrow(1, 0),
      ArrowUp: arrow(0, 1),
      ArrowDown: arrow(0, -1),
      "+": () => this.viewer.zoomBy(ZOOM_STEP),
      "=": () => this.viewer.zoomBy(ZOOM_STEP),
      "-": () => this.viewer.zoomBy(1 / ZOOM_STEP),
      0: () => this.viewer.reset(),
      r: () => this.viewer.reset(),
      i: () => this.viewer.invert(),
      w: () => this.#take("window"),
      m: () => this.#take("pan"),
      z: () => this.#take("zoom"),
      PageUp: () => this.#step(-1),
      PageDown: () => this.#step(1),
      "[": () => this.#step(-1),
      "]": () => this.#step(1),
    };
  }

  #listen() {
    byId("zoom-in").addEventListener("click", () => this.viewer.zoomBy(ZOOM_STEP));
    byId("zoom-out").addEventListener("click", () => this.viewer.zoomBy(1 / ZOOM_STEP));
    byId("reset").addEventListener("click", () => this.viewer.reset());
    byId("invert").addEventListener("click", () => this.viewer.invert());
    byId("preset").addEventListener("change", () => this.#usePreset(byId("preset").value));
    byId("frame").addEventListener("input", () => this.#goTo(Number(byId("frame").value)));
    for (const button of document.querySelectorAll("[data-tool]")) {
      button.addEventListener("click", () => this.#take(button.dataset.tool));
    }
  }

  #take(tool) {
    this.viewer.tool = tool;
    byId("surface").dataset.drag = tool;
    for (const button of document.querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    }
  }

  #step(by) {
    const index = this.#index + by;
    if (this.#image !== null && index >= 0 && index < this.#image.num_frames) {
      byId("frame").value = String(index);
      this.#goTo(index);
    }
  }

  #goTo(index) {
    this.#index = index;
    this.#tellFrame(index);
    this.#choose(index);
  }

  #tellFrame(index) {
    const values = { number: index + 1, count: this.#image.num_frames };
    say(byId("frame-words"), "frame.of", values);
    say(byId("frame"), "frame.of-long", values, "aria-valuetext");
  }

  #offerPresets(frame) {
    // Hounsfield units are below zero where there is air; without them the presets mean nothing.
    const isHounsfield = this.#image.modality === "CT" && frame.kind === "grey16s";
    const names = ["own", "full", ...(isHounsfield ? Object.keys(CT_WINDOWS) : [])];
    const options = names.map((name) => make("option", { value: name, t: `preset.${name}` }));
    options.push(make("option", { value: "manual", t: "preset.manual", disabled: true }));
    byId("preset").replaceChildren(...options);
  }

  #presetWindow(name) {
    if (name in CT_WINDOWS) {
      const [center, width] = CT_WINDOWS[name];
      return { center, width };
    }
    return name === "full" ? fullWindow(this.viewer.frame) : ownWindow(this.viewer.frame);
  }

  #usePreset(name) {
    if (this.#image !== null) {
      const { center, width } = this.#presetWindow(name);
      this.viewer.setWindow(center, width);
    }
  }

  /** Say what is shown: to the eye at once, to a screen reader once it is at rest. */
  #tell() {
    if (this.#image === null) {
      return;
    }
    const { frame, window, zoom, isInverted } = this.viewer;
    const values = {
      center: Math.round(window.center),
      width: Math.round(window.width),
      zoom: Math.round(100 * zoom),
    };
    say(byId("readout"), "view.readout", values);
    byId("invert").setAttribute("aria-pressed", String(isInverted));
    const isPreset = ({ value }) => {
      const preset = value === "manual" ? window : this.#presetWindow(value);
      return preset.center === window.center && preset.width === window.width;
    };
    byId("preset").value = [...byId("preset").options].find(isPreset).value;
    clearTimeout(this.#settling);
    if (byId("canvas").dataset.tAriaLabel === "picture.described") {
      this.#settling = setTimeout(() => this.#describe(frame, values), 300);
    } else {
      this.#describe(frame, values);
    }
  }

  #describe({ width, height }, values) {
    const { modality, body_part: bodyPart } = this.#image ?? {};
    const kind = [modality, bodyPart].filter(Boolean).join(" ");
    say(byId("canvas"), "picture.described", { kind, width, height, ...windowed(values) }, "aria-label");
  }
}

function windowed({ center, width, zoom }) {
  return { center, range: width, zoom };
}
