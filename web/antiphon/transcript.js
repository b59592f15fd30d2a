// What was said in a session, as it was heard. Pure.

/**
 * @typedef {object} Line
 * @property {"you" | "it"} who
 * @property {string} text    of a reply: what was heard of it
 * @property {string} unheard of a reply: what was written and not heard
 * @property {Date} at
 */

export class Transcript {
  constructor() {
    /** @type {Line[]} */
    this.lines = [];
  }

  /** A message of the server's. Returns whether it changed anything. */
  take(message, at) {
    if (message.type === "turn_ended" && message.transcript) {
      this.lines.push({ who: "you", text: message.transcript, unheard: "", at });
    } else if (message.type === "turn_finished") return this.finished(message, at);
    else return false;
    return true;
  }

  finished({ heard, unheard, reason }, at) {
    // The user went on talking before anything was heard: both parts come again, as one turn.
    if (reason === "withdrawn" && !heard && this.lines.at(-1)?.who === "you") {
      this.lines.pop();
      return true;
    }
    if (!heard) return false;
    this.lines.push({ who: "it", text: heard, unheard, at });
    return true;
  }

  /** As plain text. `name`: the voice's. */
  text(name = "Antiphon") {
    const clock = (at) => at.toTimeString().slice(0, 5);
    const lines = this.lines.map(({ who, text, unheard, at }) => {
      const lost = unheard ? ` [not heard: ${unheard}]` : "";
      return `${clock(at)}  ${who === "you" ? "You" : name}: ${text}${lost}\n`;
    });
    return lines.join("");
  }
}
