/** The form for servers that want to know who asks. */

import { byId } from "./dom.js";
import * as server from "./server.js";
import { quote, say } from "./strings.js";

let waiting = 0;

/** Show the form; `entered` is called once somebody is signed in. */
export function showSignIn(entered) {
  byId("desk").hidden = true;
  byId("sign-in").hidden = false;
  byId("sign-out").hidden = true;
  byId("state").hidden = true;
  byId("user").textContent = "";
  byId("name").focus();
  byId("sign-in-form").onsubmit = (event) => {
    event.preventDefault();
    submit(entered);
  };
}

async function submit(entered) {
  const [name, password] = [byId("name").value.trim(), byId("password").value];
  if (name === "" || password === "") {
    complain("sign-in.empty");
    byId(name === "" ? "name" : "password").focus();
    return;
  }
  byId("sign-in-button").disabled = true;
  try {
    await server.signIn(name, password);
    byId("password").value = "";
    complain(null);
    byId("sign-in").hidden = true;
    entered();
  } catch (error) {
    refuse(error);
    return;
  } finally {
    byId("sign-in-button").disabled = waiting !== 0;
  }
}

function refuse(error) {
  if (!(error instanceof server.Refused)) {
    complain("sign-in.lost");
  } else if (error.status === 401) {
    complain("sign-in.wrong");
    byId("password").select();
  } else if (error.isBusy) {
    waitBefore(error.retryAfterS ?? 60);
  } else {
    quote(byId("sign-in-problem"), error.message, "en");
  }
}

function waitBefore(seconds) {
  let left = seconds;
  clearInterval(waiting);
  const tick = () => {
    complain(left > 0 ? "sign-in.wait" : null, { seconds: left });
    if (left <= 0) {
      clearInterval(waiting);
      waiting = 0;
      byId("sign-in-button").disabled = false;
    }
    left -= 1;
  };
  waiting = setInterval(tick, 1000);
  tick();
}

function complain(key, values = {}) {
  const problem = byId("sign-in-problem");
  if (key === null) {
    quote(problem, "");
  } else {
    problem.removeAttribute("lang");
    say(problem, key, values);
  }
}
