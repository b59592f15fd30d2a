// Antiphon in a page: `Antiphon`, the client, and the element <antiphon-talk>, which this module defines. No globals, no
// build step; docs/web.md in the repository says all about both.
//
//   <script type="module" src="https://talk.example/antiphon.js"></script>
//   <antiphon-talk server="https://talk.example/"></antiphon-talk>

export { Antiphon } from "./antiphon/client.js";
export { AntiphonTalk } from "./antiphon/element.js";
export { MicrophoneError } from "./antiphon/audio.js";
export { pair } from "./antiphon/token.js";
