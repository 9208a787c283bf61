/** The bar that tells what is wrong with the server, and goes on by itself when it is right. */

import { byId } from "./dom.js";
import { quote, say } from "./strings.js";

let ticking = 0;

/** Show a state: key of its sentence, the server's own words, a button as {key, press}. */
export function showBanner(kind, { values = {}, detail = "", press = null } = {}) {
  const banner = byId("banner");
  clearInterval(ticking);
  // Said once: a screen reader would repeat what is put again.
  if (banner.dataset.kind !== kind || banner.hidden) {
    banner.dataset.kind = kind;
    banner.hidden = false;
    say(byId("banner-words"), `server.${kind}`, values);
  }
  quote(byId("banner-detail"), detail, "en");
  byId("banner-countdown").textContent = "";
  const button = byId("banner-button");
  button.hidden = press === null;
  if (press !== null) {
    say(button, press.key);
    button.onclick = press.act;
  }
}

/** Count down in the banner. */
export function countdown(seconds, key) {
  const until = Date.now() + 1000 * seconds;
  const tick = () => {
    const left = Math.max(Math.ceil((until - Date.now()) / 1000), 0);
    say(byId("banner-countdown"), key, { seconds: left });
  };
  clearInterval(ticking);
  tick();
  ticking = setInterval(tick, 250);
}

/** Take the banner away; only one of these kinds, if any are named. */
export function hideBanner(...kinds) {
  if (kinds.length === 0 || kinds.includes(byId("banner").dataset.kind)) {
    clearInterval(ticking);
    byId("banner").hidden = true;
    byId("banner-words").textContent = "";
    byId("banner-words").removeAttribute("data-t");
  }
}
