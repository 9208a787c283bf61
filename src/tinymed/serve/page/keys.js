/** The keyboard: what each key does, and the list of it behind "?". */

import { byId, make } from "./dom.js";

/** [keys, what they do]; those of the picture work while it has the focus. */
const LIST = [
  [["?"], "keys.help"],
  [["/"], "keys.question"],
  [["o"], "keys.open"],
  [["v"], "keys.picture"],
  [["Enter"], "keys.send"],
  [["Shift", "Enter"], "keys.line"],
  [["Esc"], "keys.stop"],
  null,
  [["↑", "↓"], "keys.brightness"],
  [["←", "→"], "keys.contrast"],
  [["+", "−"], "keys.zoom"],
  [["Shift", "↑↓←→"], "keys.pan"],
  [["[", "]"], "keys.frames"],
  [["i"], "keys.invert"],
  [["r"], "keys.reset"],
  [["w", "m", "z"], "keys.tools"],
];

/** Listen. `actions`: open(), stop(), isPictureShown(), and `picture(key, {shift})`. */
export function startKeys(actions) {
  fillList();
  byId("help").addEventListener("click", () => byId("keys").showModal());
  byId("surface").addEventListener("keydown", (event) => {
    if (isPlain(event) && areOn() && actions.picture(event.key, { shift: event.shiftKey })) {
      event.preventDefault();
      event.stopPropagation();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !byId("keys").open) {
      actions.stop();
    } else if (isPlain(event) && areOn() && !isTyping(event.target)) {
      act(event, actions);
    }
  });
}

function act(event, actions) {
  const acts = {
    "?": () => byId("keys").showModal(),
    "/": () => byId("question").focus(),
    o: () => actions.open(),
    v: () => byId("surface").focus(),
  };
  if (Object.hasOwn(acts, event.key) && !byId("keys").open) {
    event.preventDefault();
    acts[event.key]();
  }
}

/** Single keys can be switched off, for those who dictate (WCAG 2.1.4). The arrows stay. */
function areOn() {
  return byId("keys-on").checked;
}

function isPlain({ ctrlKey, altKey, metaKey }) {
  return !ctrlKey && !altKey && !metaKey;
}

function isTyping(target) {
  return target.closest("input, textarea, select, dialog") !== null;
}

function fillList() {
  for (const row of LIST) {
    if (row === null) {
      byId("keys-list").append(make("dt", { class: "title", t: "keys.on-picture" }), make("dd"));
    } else {
      const [keys, what] = row;
      const names = keys.map((key) => make("kbd", keyWords(key)));
      byId("keys-list").append(make("dt", {}, ...names), make("dd", { t: what }));
    }
  }
}

function keyWords(key) {
  return { Shift: { t: "key.shift" }, Enter: { t: "key.enter" }, Esc: { t: "key.escape" } }[key] ?? { words: key };
}
