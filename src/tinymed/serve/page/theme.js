/** Dark as a reading room unless somebody chooses otherwise. */

import { byId } from "./dom.js";

const STORED = "tinymed-theme";

export function startTheme() {
  const choice = byId("theme");
  const stored = localStorage.getItem(STORED);
  const names = [...choice.options].map(({ value }) => value);
  choice.value = names.includes(stored) ? stored : "dark";
  document.documentElement.dataset.theme = choice.value;
  choice.addEventListener("change", () => {
    localStorage.setItem(STORED, choice.value);
    document.documentElement.dataset.theme = choice.value;
  });
}
