// Speaks a WAV file to Antiphon over gRPC, prints what is said, and keeps the reply's sound.
//
//   npm ci
//   node talk.mjs 127.0.0.1:50060 question.wav reply.wav
//
// The messages are made from proto/ as this starts; nothing is generated.

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const PROTO = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "proto");
const OUTPUT_RATE = 24_000;
const FRAMES_A_SECOND = 50;
const INTERRUPT_AFTER_S = 0.5;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { interrupt: { type: "boolean" }, phrase: { type: "string", multiple: true, default: [] } },
});
if (positionals.length !== 3) {
  console.error("usage: node talk.mjs [--interrupt] [--phrase TEXT] HOST:PORT QUESTION.wav REPLY.wav");
  process.exit(2);
}
const [address, questionFile, replyFile] = positionals;

const definition = loadSync("antiphon/v1/conversation.proto", {
  includeDirs: [PROTO],
  keepCase: true, // names as in the .proto and in docs/protocol.md
  longs: Number, // positions are far below 2⁵³
  enums: String,
  defaults: true, // a field at zero is not sent
  oneofs: true, // response.message names the arm that is set
});
const { Conversation } = grpc.loadPackageDefinition(definition).antiphon.v1;

const question = readWav(readFileSync(questionFile));
const metadata = new grpc.Metadata();
if (process.env.ANTIPHON_KEY) metadata.set("authorization", `Bearer ${process.env.ANTIPHON_KEY}`);
const client = new Conversation(address, grpc.credentials.createInsecure());
const call = client.Converse(metadata);

const reply = { turn: 0, pieces: [] };
let interrupts = options.interrupt;
let answered = false;

const takes = {
  session_started: () => speak(question),
  transcript: ({ text, final }) => console.log(`you${final ? ">" : "…"} ${text}`),
  turn_ended: ({ turn }) => (reply.turn = turn),
  reply: ({ text }) => console.log(`antiphon> ${text}`),
  audio: (audio) => audio.turn === reply.turn && hear(audio),
  turn_finished({ turn, heard, unheard, reason }) {
    if (turn !== reply.turn) return;
    console.log(`heard: ${JSON.stringify(heard)}, unheard: ${JSON.stringify(unheard)} (${reason})`);
    answered = true;
    call.write({ session_end: {} });
  },
  notice({ code, message }) {
    console.error(message);
    if (code === "no_words") call.write({ session_end: {} });
  },
  error: ({ code, message }) => console.error(`${code}: ${message}`),
};

call.on("data", (response) => takes[response.message]?.(response[response.message]));
call.on("error", ({ code, details }) => {
  console.error(`${grpc.status[code]}: ${details}`);
  process.exitCode = 1;
});
call.on("end", () => {
  if (reply.pieces.length) writeFileSync(replyFile, wav(Buffer.concat(reply.pieces), OUTPUT_RATE));
  process.exitCode ||= answered ? 0 : 1;
  client.close();
});

call.write({
  session_start: {
    input_rate: question.rate,
    output_rate: OUTPUT_RATE,
    greeting: { on: false },
    phrases: options.phrase,
  },
});

/** As a microphone would: 20 ms every 20 ms. */
async function speak({ pcm, rate }) {
  const size = 2 * Math.floor(rate / FRAMES_A_SECOND);
  const begin = performance.now();
  for (let at = 0, number = 0; at < pcm.length; at += size, number++) {
    const due = begin + (1000 * number) / FRAMES_A_SECOND;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
    const frame = Buffer.alloc(size);
    pcm.copy(frame, 0, at, at + size);
    call.write({ audio: { data: frame } });
  }
  call.write({ input: { state: "MICROPHONE_STATE_RELEASED" } });
}

/** A file has no loudspeaker: it has heard what it has got. */
function hear({ turn, sample, data }) {
  reply.pieces.push(data);
  const samples = sample + data.length / 2;
  call.write({ played: { turn, samples } });
  if (interrupts && samples >= INTERRUPT_AFTER_S * OUTPUT_RATE) {
    interrupts = false;
    call.write({ interrupt: {} });
  }
}

function readWav(file) {
  let rate = 0;
  for (let at = 12; at + 8 <= file.length; ) {
    const size = file.readUInt32LE(at + 4);
    const chunk = file.subarray(at + 8, at + 8 + size);
    const name = file.toString("latin1", at, at + 4);
    if (name === "fmt ") {
      if (chunk.readUInt16LE(2) !== 1 || chunk.readUInt16LE(14) !== 16) throw new Error("the WAV is not mono with 16 bits");
      rate = chunk.readUInt32LE(4);
    } else if (name === "data") {
      return { rate, pcm: chunk };
    }
    at += 8 + size + (size % 2);
  }
  throw new Error("the file is no WAV");
}

function wav(pcm, rate) {
  const head = Buffer.alloc(44);
  head.write("RIFF", 0, "latin1");
  head.writeUInt32LE(36 + pcm.length, 4);
  head.write("WAVEfmt ", 8, "latin1");
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20); // PCM
  head.writeUInt16LE(1, 22); // mono
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(2 * rate, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36, "latin1");
  head.writeUInt32LE(pcm.length, 40);
  return Buffer.concat([head, pcm]);
}
