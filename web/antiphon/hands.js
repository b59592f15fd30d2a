// What hands do: the talk button by mouse, finger and assistive technology; the space bar, Enter and Escape.

const BUSY = "input, select, textarea, dialog, [contenteditable], button, a, summary";
const HELD_MS = 400; // a key held for longer than that was meant to talk, not to switch

/**
 * @param {object} of
 * @param {HTMLButtonElement} of.button
 * @param {import("./client.js").Antiphon} of.client
 * @param {EventTarget} of.keys  whose keys count: the element, or the whole document
 * @param {() => void} of.before  before anything is done
 * @returns {() => void} lets go of everything
 */
export function hands({ button, client, keys, before }) {
  const over = new AbortController();
  const on = (target, type, take, more) => target.addEventListener(type, take, { signal: over.signal, ...more });
  let keyed = 0; // when the key went down
  let muted = false; // the microphone, before it did

  const press = () => {
    before();
    return client.press();
  };
  on(button, "pointerdown", (event) => {
    if (event.button) return;
    button.setPointerCapture(event.pointerId);
    // A finger counts as a tap only once it is lifted; sound that is opened before would stay shut.
    if (event.pointerType === "mouse" || client.audio?.microphone) press();
  });
  on(button, "pointerup", () => {
    if (!client.pressed) press();
    client.release();
  });
  for (const type of ["pointercancel", "lostpointercapture"]) on(button, type, () => client.release());
  on(button, "contextmenu", (event) => event.preventDefault()); // a long press is not for a menu
  // Assistive technology clicks without a pointer: `detail` is 0 then. Keys are handled below.
  on(button, "click", (event) => {
    if (event.detail !== 0 || keyed) return;
    // With hold to talk, one click opens and the next one closes: nothing can be held that way.
    if (client.push && client.microphone === "open") return client.release();
    press();
    if (!client.push) client.release();
  });

  on(keys, "keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented && client.status === "open") client.interrupt();
    const target = event.composedPath()[0];
    const own = target === button;
    if ((event.key !== " " && !(own && event.key === "Enter")) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!own && target instanceof Element && target.closest(BUSY)) return;
    event.preventDefault();
    if (event.repeat) return;
    keyed = event.timeStamp;
    muted = client.microphone === "muted";
    press();
  });
  on(keys, "keyup", (event) => {
    if (!keyed || (event.key !== " " && event.key !== "Enter")) return;
    event.preventDefault();
    const held = event.timeStamp - keyed > HELD_MS;
    keyed = 0;
    client.release();
    // Held over a muted microphone it is a push-to-talk key in either mode.
    if (held && muted && client.microphone === "open") client.mute("released");
  });

  // A key let go in another window is never told here.
  const letGo = () => {
    keyed = 0;
    client.release();
  };
  on(globalThis, "blur", letGo);
  on(document, "visibilitychange", () => document.hidden && letGo());
  return () => over.abort();
}
