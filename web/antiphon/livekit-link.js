// A connection through a LiveKit room: sound as WebRTC tracks, messages as data packets on a topic.
// `sdk` is the module livekit-client, which is loaded only where there is a LiveKit.

const TOPIC = "antiphon";
const CLOSED_TOPIC = "antiphon.closed";
const AGENT_SAYS_NOTHING_MS = 700;
const LOOK_MS = 500;
const QUIET_LOOKS = 3; // the voice's packets come every 400 ms or faster, its silence too: after so many without one they are lost
const FAREWELL_MS = 700; // how long the agent is waited for to say that it has heard our last word
const CLOSED = 1006; // as a WebSocket says that it was lost
const ENDED = 1000;
const UNREACHED = "LiveKit cannot be reached";

export class LiveKitLink {
  kind = "livekit";

  /**
   * @param {any} sdk  the module livekit-client
   * @param {string} url
   * @param {string} token
   * @param {import("./audio.js").AudioDevice} audio  whose microphone is published, and which plays the reply
   */
  constructor(sdk, url, token, audio) {
    this.sdk = sdk;
    this.url = url;
    this.token = token;
    this.audio = audio;
    this.on = false;
    this.over = false;
    this.answered = false;
    this.leaving = false; // the session's end was said
    this.reached = false;
    this.quiet = 0; // looks in a row at which nothing of the voice had come
    this.publishing = Promise.resolve();
  }

  open() {
    const { Room, RoomEvent, Track } = this.sdk;
    // A microphone that is muted keeps its device, so that it opens at once; what is published is ours to stop.
    const room = (this.room = new Room({ disconnectOnPageLeave: false, stopLocalTrackOnUnpublish: false }));
    room
      .on(RoomEvent.DataReceived, (bytes, who, _kind, topic) => {
        if (who && !who.isAgent) return;
        const text = new TextDecoder().decode(bytes);
        if (topic === TOPIC) this.take(text);
        if (topic === CLOSED_TOPIC) this.over ? this.leave() : this.farewell(text);
      })
      .on(RoomEvent.TrackSubscribed, (track, _publication, who) => {
        if (this.over || track.kind !== Track.Kind.Audio || !who.isAgent) return;
        this.audio.playRemote(track);
        this.watch(track);
      })
      .on(RoomEvent.TrackUnsubscribed, (track) => {
        if (track.kind === Track.Kind.Audio) clearInterval(this.watching);
        this.audio.stopRemote(track);
      })
      .on(RoomEvent.ParticipantActive, (who) => this.met(who))
      .on(RoomEvent.ParticipantDisconnected, (who) => {
        if (who.identity !== this.agent) return;
        if (this.over) this.leave();
        else this.end(this.ended ? ENDED : CLOSED, this.ended ? "" : "The voice left the room.");
      })
      .on(RoomEvent.SignalConnected, () => {
        this.reached = true;
        if (!this.over) this.onsignal();
      })
      // Of a lost LiveKit this comes at once, and `Reconnecting` only when coming back has failed a few times.
      .on(RoomEvent.SignalReconnecting, () => this.over || this.onpause(true))
      .on(RoomEvent.Reconnecting, () => this.over || this.onpause(true))
      .on(RoomEvent.Reconnected, () => {
        this.quiet = 0;
        if (!this.over) this.onpause(false);
      })
      .on(RoomEvent.Disconnected, () => this.end(CLOSED, `${this.reached ? "The connection to LiveKit was lost" : UNREACHED}.`));
    room.registerTextStreamHandler(TOPIC, async (reader) => this.take(await reader.readAll()));
    room.connect(this.url, this.token).then(
      () => {
        if (this.over) return room.disconnect();
        for (const who of room.remoteParticipants.values()) if (who.isActive) this.met(who);
        this.publish();
      },
      (error) => this.end(CLOSED, `${UNREACHED} (${error.message}).`),
    );
  }

  // A path that is cut without a word is noticed by the SDK after 15 s. What no longer comes is seen sooner.
  watch(track) {
    clearInterval(this.watching);
    let before = 0;
    this.quiet = 0;
    this.watching = setInterval(async () => {
      const { bytesReceived = 0 } = (await track.getReceiverStats().catch(() => null)) ?? {};
      if (this.over || !this.answered || this.room.state !== "connected") return;
      const lost = this.quiet >= QUIET_LOOKS;
      this.quiet = bytesReceived === before && before > 0 ? this.quiet + 1 : 0;
      before = bytesReceived;
      if (lost !== this.quiet >= QUIET_LOOKS) this.onpause(!lost);
    }, LOOK_MS);
  }

  // The agent is there. What is sent before it listens is lost, so the greeting is said again until it is answered.
  met(who) {
    if (!who.isAgent || this.over || this.agent) return;
    this.agent = who.identity;
    const greet = () => {
      if (this.over || this.answered) return;
      this.onopen();
      this.greeting = setTimeout(greet, AGENT_SAYS_NOTHING_MS);
    };
    greet();
  }

  take(text) {
    if (this.over) return;
    const message = JSON.parse(text);
    if (message.type === "session_started") this.answered = true;
    if (message.type === "state" && message.state === "terminated") this.ended = true;
    // The second greeting crossed the answer to the first.
    if (this.answered && message.type === "error" && message.code === "wrong_state") return;
    this.onmessage(message);
  }

  // The last packet, with what a WebSocket says in its close frame.
  farewell(text) {
    const { code, reason } = JSON.parse(text);
    this.end(code, reason);
  }

  send(message) {
    if (this.over || !this.agent) return false;
    this.leaving ||= message.type === "session_end";
    const bytes = new TextEncoder().encode(JSON.stringify(message));
    const to = { reliable: true, topic: TOPIC, destinationIdentities: [this.agent] };
    this.room.localParticipant.publishData(bytes, to).catch(() => {}); // a lost connection is told as such
    return true;
  }

  /** The microphone is open or shut. */
  listen(on) {
    this.on = on;
    this.publish();
  }

  /** Another one is in use. */
  microphone() {
    this.publish();
  }

  // One change after another: publish, replace, mute.
  publish() {
    this.publishing = this.publishing.then(() => this.settle()).catch((error) => console.warn("antiphon:", error));
  }

  async settle() {
    const track = this.audio.track;
    if (this.over || this.room.state !== "connected" || !track) return;
    if (!this.published) {
      const { Track } = this.sdk;
      // Redundant packets would cost 45 ms in the other side's jitter buffer.
      const how = { source: Track.Source.Microphone, name: "microphone", dtx: false, red: false, audioPreset: { maxBitrate: 48_000 } };
      this.published = await this.room.localParticipant.publishTrack(track, how);
    } else if (this.published.track.mediaStreamTrack !== track) {
      await this.published.track.replaceTrack(track, true);
    }
    if (this.published.isMuted === this.on) await (this.on ? this.published.unmute() : this.published.mute());
    track.enabled = this.on;
  }

  close() {
    // A packet that is on its way is lost with the room, and the session would wait for us in vain. A page that goes loses
    // its room by itself, mostly after the packet.
    const last = this.leaving && this.room?.state === "connected";
    this.end(ENDED, "", last);
  }

  end(code, reason, last = false) {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.greeting);
    clearInterval(this.watching);
    this.audio.stopRemote();
    if (last) this.parting = setTimeout(() => this.leave(), FAREWELL_MS);
    else this.leave();
    this.onclose(code, reason);
  }

  leave() {
    clearTimeout(this.parting);
    this.room?.disconnect(false);
  }
}
