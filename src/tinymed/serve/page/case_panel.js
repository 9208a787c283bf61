/** What the open image is, what is wrong with it, and the ways to take its record along. */

import { alertList } from "./alerts.js";
import { button, byId, icon, make } from "./dom.js";

/** Show a case. `actions`: print(), save(kind, withPicture), forget(). */
export function showCase(view, fileName, actions) {
  const { case: id, image, alerts } = view;
  const title = make("div", { class: "case-title" });
  title.append(make("h2", { id: "case-title", t: ["case.title", { id }] }));
  if (fileName !== "") {
    title.append(make("span", { class: "file-name", words: fileName }));
  }
  title.append(
    make(
      "button",
      { type: "button", class: "quiet", label: "case.forget", title: "case.forget", on: { click: actions.forget } },
      icon("forget"),
    ),
  );
  const alertPart = alertList(alerts, { isNew: true });
  byId("case").replaceChildren(title, factsPart(image), ...alertPart, exportPart(actions));
  byId("case").hidden = false;
}

function factsPart(image) {
  const facts = [image.modality, image.body_part, `${image.width} × ${image.height}`];
  const line = make("span", { words: facts.filter(Boolean).join(" · ") });
  const details = make("details", { class: "small facts" }, make("summary", {}, line));
  const list = make("dl");
  const add = (key, words, lang = "") => list.append(make("dt", { t: key }), make("dd", { words, lang }));
  add("report.image.source", image.source.toUpperCase());
  add("report.image.sha256", image.sha256);
  if (image.notes.length > 0) {
    add("report.image.notes", image.notes.join("; "), "en");
  }
  details.append(list);
  return details;
}

function exportPart({ print, save }) {
  const withPicture = make("input", { type: "checkbox", checked: true });
  return make(
    "div",
    { class: "buttons export", role: "group", label: "export.label" },
    button("export.print", "print", print),
    button("export.pdf", "save", () => save("pdf", withPicture.checked)),
    button("export.json", "save", () => save("json", false)),
    make("label", { class: "tick" }, withPicture, make("span", { t: "export.with-picture" })),
  );
}
