/** The server's routes; what they refuse, and a connection that is gone, as errors. */

import { EventParser } from "./events.js";
import { frameOf } from "./levels.js";

/** The server comments every 10 s while nothing happens; this long a silence is a lost line. */
const SILENCE_MS = 45_000;

/** The server answered, and said no. */
export class Refused extends Error {
  constructor(status, { message = "", code = "" } = {}, retryAfterS = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterS = retryAfterS;
  }

  /** Whether the same request may work a little later. */
  get isBusy() {
    return this.status === 429 || this.status === 503;
  }

  /** Whether the server no longer has the case. */
  get isExpired() {
    return this.status === 404 && this.code === "no-such-case";
  }
}

/** No answer came, or it broke off. */
export class Unreachable extends Error {}

export async function page() {
  return (await request("/api/page")).json();
}

/** {status, seconds, message}, whether the server is ready or not. */
export async function health() {
  const response = await reach("/health");
  return response.json();
}

export async function signIn(name, password) {
  await request("/api/sign-in", json({ name, password }));
}

export async function signOut() {
  await request("/api/sign-out", { method: "POST" });
}

export async function getCase(id) {
  return (await request(casePath(id))).json();
}

export async function forget(id) {
  await request(casePath(id), { method: "DELETE" });
}

/** One frame's levels, ready to be drawn. */
export async function frame(id, index, signal) {
  const response = await request(`${casePath(id)}/frames/${index}`, { signal });
  const bytes = await response.arrayBuffer().catch((error) => Promise.reject(lost(error)));
  return frameOf(JSON.parse(response.headers.get("X-Tinymed-Frame")), bytes);
}

/** Keep a verdict; gives it as the server kept it, or null if the server does not say. */
export async function judge(id, verdict) {
  const response = await request(`${casePath(id)}/verdicts`, json(verdict));
  return parsed(await response.text());
}

/** A report as {name, blob}. */
export async function report(id, kind, query = "") {
  const response = await request(`${casePath(id)}/report.${kind}${query}`);
  return { name: `tinymed-${id}.${kind}`, blob: await response.blob() };
}

/** Send a file's bytes; `progress` hears the share that is sent. XMLHttpRequest, because fetch
 * does not tell. */
export function upload(file, { progress, signal }) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("POST", "/api/cases");
    sending.setRequestHeader("Content-Type", "application/octet-stream");
    sending.upload.addEventListener("progress", ({ loaded, total }) => progress(loaded / total));
    sending.addEventListener("error", () => reject(new Unreachable()));
    sending.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
    sending.addEventListener("load", () => {
      const body = parsed(sending.responseText);
      if (sending.status === 201) {
        resolve(body);
      } else {
        const seconds = sending.getResponseHeader("Retry-After");
        reject(new Refused(sending.status, body?.error, secondsOf(seconds)));
      }
    });
    signal.addEventListener("abort", () => sending.abort());
    sending.send(file);
  });
}

/** Ask; `heard(name, data)` gets each event. Aborting `signal` stops the answer. */
export async function ask(id, question, { heard, signal }) {
  const silence = new AbortController();
  const either = AbortSignal.any([signal, silence.signal]);
  try {
    const options = { ...json(question), signal: either };
    const response = await request(`${casePath(id)}/questions`, options);
    await readEvents(response, heard, silence);
  } catch (error) {
    throw silence.signal.aborted && !signal.aborted ? new Unreachable() : error;
  }
}

async function readEvents(response, heard, silence) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new EventParser();
  let isOver = false;
  while (!isOver) {
    const timer = setTimeout(() => silence.abort(), SILENCE_MS);
    const { value, done } = await reader.read().catch((error) => Promise.reject(lost(error)));
    clearTimeout(timer);
    if (done) {
      throw new Unreachable();
    }
    for (const { name, data } of parser.push(value)) {
      heard(name, JSON.parse(data));
      isOver ||= name === "answer" || name === "error";
    }
  }
}

function casePath(id) {
  return `/api/cases/${encodeURIComponent(id)}`;
}

function json(body) {
  const headers = { "Content-Type": "application/json" };
  return { method: "POST", headers, body: JSON.stringify(body) };
}

async function reach(path, options = {}) {
  try {
    return await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    throw lost(error);
  }
}

async function request(path, options) {
  const response = await reach(path, options);
  if (response.ok) {
    return response;
  }
  const body = parsed(await response.text().catch(() => ""));
  throw new Refused(response.status, body?.error, secondsOf(response.headers.get("Retry-After")));
}

/** A failed fetch is a lost connection, unless it was stopped on purpose. */
function lost(error) {
  return error.name === "AbortError" ? error : new Unreachable();
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function secondsOf(header) {
  return header === null ? null : Number.parseInt(header, 10);
}
