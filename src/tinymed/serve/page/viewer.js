/** The picture: a canvas, drawn from the levels, moved by mouse, fingers and keys. */

import { fullWindow, ownWindow, paint, shadesOf } from "./levels.js";

const MOST_ZOOM = 32;
/** Beyond this many screen pixels a pixel, its square is shown as it is. */
const SQUARES_FROM = 12;
const WHEEL_STEP = 0.0015;
const LINE_PX = 16;

export class Viewer {
  #surface;
  #canvas;
  #context;
  #changed;
  #buffer = document.createElement("canvas");
  #frame = null;
  #window = { center: 0, width: 1 };
  #isInverted = false;
  #shades = null;
  #scale = 1;
  #isFitted = true;
  #middle = { x: 0, y: 0 };
  #pointers = new Map();
  #isDrawing = false;
  tool = "window";

  /** `changed` is called after each drawing. */
  constructor(surface, canvas, changed) {
    this.#surface = surface;
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
    this.#changed = changed;
    new ResizeObserver(() => this.#resize()).observe(surface);
    this.#listen();
  }

  get frame() {
    return this.#frame;
  }

  get window() {
    return this.#window;
  }

  get isInverted() {
    return this.#isInverted;
  }

  /** Screen pixels a pixel of the picture. */
  get zoom() {
    return this.#scale / this.#dots;
  }

  /** Show a frame; another frame of the same picture keeps window and place. */
  show(frame, { isSamePicture = false } = {}) {
    const keeps = isSamePicture && this.#frame !== null;
    const sameSize = keeps && this.#frame.width === frame.width && this.#frame.height === frame.height;
    this.#frame = frame;
    if (!sameSize) {
      this.#place();
    }
    if (!keeps) {
      this.#isInverted = false;
      this.#window = ownWindow(frame);
    }
    this.#shades = null;
    this.#draw();
  }

  clear() {
    this.#frame = null;
    this.#draw();
  }

  setWindow(center, width) {
    this.#window = { center, width: Math.max(width, 1) };
    this.#shades = null;
    this.#draw();
  }

  invert() {
    this.#isInverted = !this.#isInverted;
    this.#shades = null;
    this.#draw();
  }

  reset() {
    if (this.#frame !== null) {
      this.#isInverted = false;
      this.#window = ownWindow(this.#frame);
      this.#shades = null;
      this.#place();
      this.#draw();
    }
  }

  /** Zoom around a point of the surface, in its own pixels; its middle if none is given. */
  zoomBy(factor, x = this.#surface.clientWidth / 2, y = this.#surface.clientHeight / 2) {
    if (this.#frame === null) {
      return;
    }
    const least = Math.min(this.#fit, 1) / 2;
    const most = Math.max(MOST_ZOOM * this.#dots, this.#fit);
    const scale = Math.min(Math.max(this.#scale * factor, least), most);
    const dx = x * this.#dots - this.#canvas.width / 2;
    const dy = y * this.#dots - this.#canvas.height / 2;
    this.#middle.x += dx / this.#scale - dx / scale;
    this.#middle.y += dy / this.#scale - dy / scale;
    this.#scale = scale;
    this.#isFitted = false;
    this.#keepInside();
    this.#draw();
  }

  /** Move the picture by pixels of the surface. */
  panBy(dx, dy) {
    if (this.#frame !== null) {
      this.#middle.x -= (dx * this.#dots) / this.#scale;
      this.#middle.y -= (dy * this.#dots) / this.#scale;
      this.#isFitted = false;
      this.#keepInside();
      this.#draw();
    }
  }

  /** Widen the window, and move it so that the picture gets brighter, by steps: one is a 250th
   * of its width. */
  brightenBy(widthSteps, brightSteps) {
    if (this.#frame !== null) {
      const { center, width } = this.#window;
      const step = Math.max(width / 250, fullWindow(this.#frame).width / 4000);
      const upwards = this.#isNegative ? brightSteps : -brightSteps;
      this.setWindow(center + upwards * step, width + widthSteps * step);
    }
  }

  /** The whole frame as it is shown, on a canvas of at most `size` pixels a side. */
  picture(size) {
    const canvas = document.createElement("canvas");
    const scale = Math.min(size / this.#frame.width, size / this.#frame.height, 1);
    canvas.width = Math.max(Math.round(this.#frame.width * scale), 1);
    canvas.height = Math.max(Math.round(this.#frame.height * scale), 1);
    const middle = { x: this.#frame.width / 2, y: this.#frame.height / 2 };
    this.#drawOn(canvas.getContext("2d", { alpha: false }), scale, middle);
    return canvas;
  }

  get #dots() {
    return globalThis.devicePixelRatio || 1;
  }

  /** Whether low levels are shown bright. */
  get #isNegative() {
    return this.#frame.is_inverted !== this.#isInverted;
  }

  get #fit() {
    const { width, height } = this.#frame;
    return Math.min(this.#canvas.width / width, this.#canvas.height / height);
  }

  #place() {
    this.#scale = this.#fit;
    this.#isFitted = true;
    this.#middle = { x: this.#frame.width / 2, y: this.#frame.height / 2 };
  }

  #keepInside() {
    this.#middle.x = Math.min(Math.max(this.#middle.x, 0), this.#frame.width);
    this.#middle.y = Math.min(Math.max(this.#middle.y, 0), this.#frame.height);
  }

  #resize() {
    this.#canvas.width = Math.max(Math.round(this.#surface.clientWidth * this.#dots), 1);
    this.#canvas.height = Math.max(Math.round(this.#surface.clientHeight * this.#dots), 1);
    if (this.#frame !== null && this.#isFitted) {
      this.#place();
    }
    // At once: another size has emptied the canvas, and it would be seen empty.
    this.#drawNow();
  }

  /** Draw once before the screen's next refresh, however much changes until then. */
  #draw() {
    if (!this.#isDrawing) {
      this.#isDrawing = true;
      requestAnimationFrame(() => {
        this.#isDrawing = false;
        this.#drawNow();
      });
    }
  }

  #drawNow() {
    this.#drawOn(this.#context, this.#scale, this.#middle);
    this.#changed();
  }

  #drawOn(context, scale, middle) {
    const { width, height } = context.canvas;
    context.fillStyle = "black";
    context.fillRect(0, 0, width, height);
    const frame = this.#frame;
    if (frame === null) {
      return;
    }
    this.#shades ??= shadesOf(frame, this.#window, this.#isNegative);
    const depth = Math.min(Math.max(Math.floor(-Math.log2(scale)), 0), frame.pyramid.length - 1);
    const source = frame.pyramid[depth];
    const grain = 2 ** depth;
    const left = middle.x - width / 2 / scale;
    const top = middle.y - height / 2 / scale;
    const x = Math.min(Math.max(Math.floor(left / grain), 0), source.width - 1);
    const y = Math.min(Math.max(Math.floor(top / grain), 0), source.height - 1);
    const right = Math.ceil((left + width / scale) / grain);
    const bottom = Math.ceil((top + height / scale) / grain);
    const box = {
      x,
      y,
      width: Math.max(Math.min(right, source.width) - x, 1),
      height: Math.max(Math.min(bottom, source.height) - y, 1),
    };
    this.#fillBuffer(frame, source, box);
    context.imageSmoothingEnabled = scale < SQUARES_FROM;
    context.imageSmoothingQuality = "high";
    const size = grain * scale;
    context.drawImage(
      this.#buffer,
      (x * grain - left) * scale,
      (y * grain - top) * scale,
      box.width * size,
      box.height * size,
    );
  }

  #fillBuffer(frame, source, box) {
    this.#buffer.width = box.width;
    this.#buffer.height = box.height;
    const pixels = new ImageData(box.width, box.height);
    paint(frame, source, box, this.#shades, new Uint32Array(pixels.data.buffer));
    this.#buffer.getContext("2d", { alpha: false }).putImageData(pixels, 0, 0);
  }

  #listen() {
    const surface = this.#surface;
    surface.addEventListener("contextmenu", (event) => event.preventDefault());
    surface.addEventListener("pointerdown", (event) => this.#press(event));
    surface.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
      surface.addEventListener(name, (event) => this.#pointers.delete(event.pointerId));
    }
    surface.addEventListener("dblclick", () => this.#refit());
    const options = { passive: false };
    surface.addEventListener("wheel", (event) => this.#wheel(event), options);
  }

  #refit() {
    if (this.#frame !== null) {
      this.#place();
      this.#draw();
    }
  }

  #press(event) {
    if (this.#frame === null) {
      return;
    }
    this.#surface.setPointerCapture(event.pointerId);
    const tool = { 1: "pan", 2: "window" }[event.button] ?? this.tool;
    this.#pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, tool });
    if (event.button === 1) {
      event.preventDefault();
    }
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (before === undefined) {
      return;
    }
    const now = { x: event.clientX, y: event.clientY, tool: before.tool };
    const [dx, dy] = [now.x - before.x, now.y - before.y];
    if (this.#pointers.size === 2) {
      this.#pinch(event.pointerId, before, now);
    } else if (this.#pointers.size === 1) {
      this.#drag(now, dx, dy);
    }
    this.#pointers.set(event.pointerId, now);
  }

  #drag({ tool }, dx, dy) {
    if (tool === "window") {
      this.brightenBy(dx, -dy);
    } else if (tool === "pan") {
      this.panBy(dx, dy);
    } else {
      this.zoomBy(Math.exp(-dy / 150));
    }
  }

  #pinch(id, before, now) {
    const [, other] = [...this.#pointers].find(([key]) => key !== id);
    const box = this.#surface.getBoundingClientRect();
    const apart = (point) => Math.max(Math.hypot(point.x - other.x, point.y - other.y), 1);
    this.panBy((now.x - before.x) / 2, (now.y - before.y) / 2);
    const [x, y] = [(now.x + other.x) / 2 - box.x, (now.y + other.y) / 2 - box.y];
    this.zoomBy(apart(now) / apart(before), x, y);
  }

  #wheel(event) {
    event.preventDefault();
    const box = this.#surface.getBoundingClientRect();
    const turned = event.deltaY * (event.deltaMode === 1 ? LINE_PX : 1);
    this.zoomBy(Math.exp(-turned * WHEEL_STEP), event.clientX - box.x, event.clientY - box.y);
  }
}
