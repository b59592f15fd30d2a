// What a user waits for, measured where they are: from loudness at the microphone and of the reply, with times. Pure.
// Seconds throughout; `now` is any clock that only goes on.

const FLOOR = 0.002; // quieter than that is silence: a decoder's comfort noise, a muted track
const ABOVE = 4; // so many times louder than the room is a voice
const PAUSE_S = 0.25; // a voice that was away for that long begins again
const RECENT_S = 0.3; // a reply that sounded so lately is still being given, between two words

export class Latency {
  constructor() {
    this.room = FLOOR; // how loud the quiet microphone is
    this.voiced = -Infinity; // when the user's voice was last heard
    this.began = -Infinity; // when it began
    this.sounded = -Infinity; // when the reply was last heard
    this.over = null; // {began}: the user's voice came over a reply
    this.ended = null; // when the turn's last voice was, until its answer sounds
  }

  /** A frame of the open microphone. */
  microphone(level, now) {
    if (level < Math.max(FLOOR * 2, this.room * ABOVE)) {
      this.room += (level - this.room) * (level < this.room ? 0.2 : 0.01);
      return;
    }
    if (now - this.voiced > PAUSE_S) {
      this.began = now;
      if (now - this.sounded < RECENT_S) this.over = { began: now };
    }
    this.voiced = now;
  }

  /** The reply is heard so loud. Returns {response_s} with the first sound of an answer, else null. */
  reply(level, now) {
    if (level < FLOOR) return null;
    this.sounded = now;
    if (this.ended === null || now < this.ended) return null;
    const response_s = now - this.ended;
    this.ended = null;
    return { response_s };
  }

  /** The user's turn is over. `spoken`: it was not typed. */
  turnEnded(spoken) {
    this.ended = spoken && this.voiced > -Infinity ? this.voiced : null;
  }

  /** A reply is over. Returns {silence_s} if the user's voice ended it, else null. */
  turnFinished(reason) {
    const { over } = this;
    this.over = null;
    if (reason !== "barge_in" || !over) return null;
    return { silence_s: Math.max(0, this.sounded - over.began) };
  }

  /** The reply goes on: it was a noise. */
  resumed() {
    this.over = null;
  }
}
