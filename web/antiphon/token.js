// Tokens: who lets us in, and where. In the words of LiveKit's token endpoints.

import { keyWanted } from "./words.js";

/**
 * @typedef {object} Token
 * @property {string} [server_url]         LiveKit's address; empty: there is none
 * @property {string} [participant_token]  a JWT, good for LiveKit and as the key of a WebSocket session
 * @property {string} [websocket_url]      where the WebSocket is; else the server's /v1/converse
 */

/** Nothing to try again: the user has to do something. `detail` "key": give an access key. */
export class NeedsKey extends Error {
  code = 1000;

  constructor(message, detail = "key") {
    super(message);
    this.detail = detail;
  }
}

/**
 * A token from an address or a function. A server without that address has none, and is talked to without one.
 * @param {string | URL | (() => Token | Promise<Token>)} from
 * @param {string} [key]
 * @returns {Promise<Token>}
 */
export async function mint(from, key) {
  if (typeof from === "function") return from();
  const headers = { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) };
  let answer;
  try {
    answer = await fetch(from, { method: "POST", headers, body: "{}" });
  } catch {
    throw new Error("The server cannot be reached.");
  }
  if (answer.ok) return answer.json();
  if (answer.status === 404 || answer.status === 405) return {};
  const said = await answer.json().catch(() => ({}));
  const message = said.error?.message ?? "";
  if (answer.status === 401 || answer.status === 403) throw new NeedsKey(keyWanted(said.error?.reason, message));
  if (answer.status === 429) throw new NeedsKey(message || "Too many tries. Wait a minute, then try again.", "");
  throw new Error(message || `The server answers ${answer.status}.`);
}

/** Of the WebSocket: what the token says, made whole. @param {string | undefined} told @param {URL} server */
export function socketUrl(told, server) {
  const url = new URL(told || "v1/converse", server);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

/** The key that a pairing code is good for, once. @param {string} code @param {URL | string} server */
export async function pair(code, server) {
  let answer;
  try {
    answer = await fetch(new URL("v1/pair", server), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ code }),
    });
  } catch {
    throw new Error("The server cannot be reached.");
  }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.error?.message ?? "This pairing code is used up, or wrong. Ask for a new one.");
  return /** @type {string} */ (said.key);
}
