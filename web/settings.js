// The pickers: what the server and this browser have to offer.

import { kept } from "./kept.js";

const $ = (id) => document.getElementById(id);
const names = new Intl.DisplayNames(undefined, { type: "language", fallback: "code" });
const BRAINS = { tour: "Tour (shows what it can do)", eliza: "Eliza (asks back)", echo: "Echo", openai: "Language model" };

function called(code) {
  try {
    return names.of(code);
  } catch {
    return "Other"; // "*", "piqd" and the like: it takes two, three or five letters and more
  }
}

// The options of a picker behind its first one, which is nobody's choice; what was chosen before stays so.
function offer(select, options) {
  const chosen = select.value || kept()[select.id] || "";
  select.replaceChildren(select.options[0], ...options);
  select.value = chosen;
  if (select.selectedIndex < 0) select.value = "";
}

/** Voices, languages, ears and brains. @param {string} [key] */
export async function offerOptions(key) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const read = async (path) => {
    const answer = await fetch(path, { headers });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer.json();
  };
  const [voices, options] = await Promise.all([read("v1/voices"), read("v1/options")]);
  offerVoices(voices);
  offerLanguages(options);
  offer($("ear"), options.ears.map(({ id, engine }) => new Option(id === engine ? id : `${id} (${engine})`, id)));
  offer($("responder"), options.responders.map((id) => new Option(BRAINS[id] ?? id, id)));
}

function offerVoices(voices) {
  const groups = new Map();
  for (const { id, name, languages } of voices) {
    const option = new Option(name || id, id);
    option.lang = languages.includes("*") ? "" : (languages[0] ?? ""); // "*": whatever is spoken
    const group = called(option.lang.split("-")[0]);
    groups.set(group, [...(groups.get(group) ?? []), option]);
  }
  const shown = [...groups].sort(([a], [b]) => a.localeCompare(b)).map(([label, options]) => {
    const group = Object.assign(document.createElement("optgroup"), { label });
    group.append(...options);
    return group;
  });
  offer($("voice"), shown);
}

function offerLanguages({ hears, detects }) {
  const known = hears.filter((tag) => tag !== "*").map((tag) => new Option(called(tag), tag));
  known.sort((a, b) => a.text.localeCompare(b.text));
  offer($("language"), [...(detects ? [new Option("Whichever you speak", "*")] : []), ...known]);
}

/** Microphones and loudspeakers, which have names once a microphone was allowed. @param {any} client */
export async function offerDevices(client) {
  const { microphones, speakers } = await client.devices();
  const named = (list) => list.map(({ id, label }, n) => new Option(label || `Number ${n + 1}`, id));
  offer($("microphone"), named(microphones.filter(({ id }) => id !== "default")));
  offer($("speaker"), named(speakers.filter(({ id }) => id !== "default")));
  $("speaker").disabled = !("setSinkId" in (globalThis.AudioContext?.prototype ?? {}));
}
