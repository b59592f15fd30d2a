// One connection to a server, in the one shape that `Conversation` needs: over WebSocket.
//
// A link has `open()`, `send(message)`, `sendAudio(sample, pcm)` (if its audio are messages), `listen(on)`,
// `microphone(track)` and `close(code)`, and tells its owner:
//   onopen()                     session_start may be sent
//   onmessage(message)           a message of the protocol, as an object
//   onaudio({turn, sample, pcm}) audio that came as a message
//   onsignal()                   its server has answered (a room's; media come later)
//   onpause(paused)              it is mending itself / it is mended
//   onclose(code, reason)        it is over; nothing comes after

import { packAudio, unpackAudio } from "./protocol.js";

export class WebSocketLink {
  /** The transport's name, as the client tells it. */
  kind = "websocket";

  /** @param {string} url */
  constructor(url) {
    this.url = url;
  }

  open() {
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.onopen();
    socket.onmessage = ({ data }) => this.take(data);
    socket.onclose = ({ code, reason }) => this.onclose(code, reason);
    this.socket = socket;
  }

  take(data) {
    if (typeof data === "string") return this.onmessage(JSON.parse(data));
    const audio = unpackAudio(data);
    if (audio) this.onaudio(audio);
  }

  get ready() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  send(message) {
    if (!this.ready) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  sendAudio(sample, pcm) {
    if (this.ready) this.socket.send(packAudio(0, sample, pcm));
  }

  listen() {}

  microphone() {}

  close(code) {
    this.socket?.close(code);
  }
}
