// The wire: the binary header, and what to make of a close. Pure. See docs/protocol.md.

export const PROTOCOL = 1;

// Rates at which 20 ms is a whole number of samples; the server takes these.
export const RATES = [8000, 12000, 16000, 22050, 24000, 32000, 44100, 48000];

const HEADER_BYTES = 16;
const PCM = 1;

// uint8 type, uint8 flags, uint16 zero, uint32 turn, uint64 sample; little-endian; then s16le samples.
export function packAudio(turn, sample, pcm) {
  const buffer = new ArrayBuffer(HEADER_BYTES + pcm.length * 2);
  const view = new DataView(buffer);
  view.setUint8(0, PCM);
  view.setUint32(4, turn, true);
  view.setBigUint64(8, BigInt(sample), true);
  new Int16Array(buffer, HEADER_BYTES).set(pcm);
  return buffer;
}

// {turn, sample, pcm: Int16Array}, or null for what this version does not know.
export function unpackAudio(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < HEADER_BYTES || view.getUint8(0) !== PCM) return null;
  return {
    turn: view.getUint32(4, true),
    sample: Number(view.getBigUint64(8, true)),
    pcm: new Int16Array(buffer, HEADER_BYTES, (buffer.byteLength - HEADER_BYTES) >> 1),
  };
}

// Whether coming back with the resume token makes sense: not after a proper end, not when somebody else took over.
export function mayResume(closeCode) {
  return closeCode !== 1000 && closeCode !== 4001;
}

// Whether a fatal error ends it, rather than its connection: what keeps a session from beginning would do so over another
// transport as well, and nobody comes back with a key that is no good. `begun`: there is a session.
export function isFinal({ fatal, code, reason }, begun) {
  return fatal && (!begun || (code === "denied" && /^KEY_/.test(reason)));
}

// Seconds to wait before attempt n (0, 1, …).
export function backoff(attempt) {
  return Math.min(4, 0.25 * 2 ** attempt);
}
