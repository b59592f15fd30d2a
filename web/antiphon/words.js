// What is going on, in one word for the looks and in a few for the reader. Pure.

/**
 * @typedef {object} Facts
 * @property {string} status      of the connection: closed, connecting, open, resuming
 * @property {string} state       of the conversation, as the server says
 * @property {string} microphone  none, waiting, open, muted, refused
 * @property {boolean} push       hold to talk
 * @property {boolean} paused     the browser stopped the sound
 * @property {boolean} secure     the page may ask for a microphone
 */

/**
 * idle, asking (for the microphone), connecting, reconnecting, paused, listening, thinking, speaking, interrupted,
 * muted, insecure.
 * @param {Facts} facts
 */
export function phase({ status, state, microphone, paused, secure = true }) {
  if (microphone === "waiting") return "asking";
  if (status === "resuming") return "reconnecting";
  if (status === "connecting") return "connecting";
  if (status !== "open") return secure ? "idle" : "insecure";
  if (paused) return "paused";
  if (state === "thinking") return "thinking";
  if (state === "speaking") return "speaking";
  if (state === "barged_in") return "interrupted";
  return microphone === "open" ? "listening" : "muted";
}

/** @param {Facts} facts */
export function words(facts) {
  const { microphone, push } = facts;
  const now = phase(facts);
  if (now === "speaking") return microphone === "open" ? "Speaking. Talk over it any time" : "Speaking";
  if (now === "idle") return push ? "Hold to talk" : "Tap to talk";
  if (now === "muted") {
    if (push && microphone !== "none" && microphone !== "refused") return "Hold the button to talk";
    return microphone === "muted" ? "Microphone off" : "Type, or tap to talk";
  }
  return WORDS[now];
}

const WORDS = {
  asking: "Your browser asks for the microphone",
  connecting: "Connecting…",
  reconnecting: "Connection lost, coming back…",
  paused: "Paused by the browser. Tap to go on",
  listening: "Listening",
  thinking: "Thinking…",
  interrupted: "Go on, I’m listening",
  insecure: "No microphone on this address. You can type",
};

/** What the big button does now, for who cannot see it. @param {Facts} facts */
export function action(facts) {
  const { status, microphone, push } = facts;
  if (push && status !== "closed") return "Hold to talk";
  if (microphone === "open") return "Mute the microphone";
  return microphone === "muted" ? "Unmute the microphone" : "Start talking";
}

/** What a screen reader is told; not each turn, as those are spoken aloud. @param {Facts} facts */
export function announcement(facts) {
  const now = phase(facts);
  if (now === "reconnecting") return "Connection lost, coming back";
  if (now === "interrupted") return "";
  if (facts.status !== "open") return "";
  return facts.microphone === "open" ? "Microphone on" : "Microphone off";
}

/** Seconds as a person reads them: 0.4 s, 80 ms. */
export function seconds(value) {
  return value < 0.1 ? `${Math.max(10, Math.round(value * 100) * 10)} ms` : `${value.toFixed(2)} s`;
}

/** What a server says, as a sentence: with a capital letter and a full stop. @param {string} text */
export function sentence(text) {
  const whole = text.trim();
  return whole && `${whole[0].toUpperCase()}${whole.slice(1)}${/[\p{L}\p{N})"'”’]$/u.test(whole) ? "." : ""}`;
}

/**
 * Why a key is asked for. The server's words for who has none are for programs. `reason` and `message` as in an `error`.
 * @param {string | undefined} reason @param {string | undefined} message
 */
export function keyWanted(reason, message) {
  return !message || reason === "KEY_MISSING" ? KEY_MISSING : sentence(message);
}

const KEY_MISSING =
  "This server asks for an access key. Whoever runs it makes one with “antiphon keys add”, or lets this device in with “antiphon keys pair”.";

/** That WebSocket took over. @param {string} reason  a sentence, with its full stop or without; or nothing */
export function tookOver(reason) {
  return `${sentence(reason || "LiveKit was lost")} The conversation goes on over WebSocket.`;
}
