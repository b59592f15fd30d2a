// What <antiphon-talk> is made of. Colours and measures come from custom properties, whose defaults are here.

export const TEMPLATE = `
<div id="base" part="base" data-phase="idle">
  <div id="conversation" part="conversation">
    <div id="welcome" part="welcome"><slot>
      <h2>Talk with it. Talk over it.</h2>
      <p>Tap the button and speak. It falls silent the moment you do, and it remembers exactly what you heard.</p>
    </slot></div>
    <!-- Not a live region: its words are being spoken aloud already. -->
    <ol id="captions" part="captions" aria-live="off" tabindex="0"></ol>
    <button id="latest" part="latest" type="button" hidden>Latest words</button>
  </div>
  <div id="alert" part="alert" role="alert" hidden>
    <p id="alert-text"></p>
    <button id="dismiss" type="button" aria-label="Close">
      <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M7 7l10 10M17 7L7 17"></path></svg>
    </button>
  </div>
  <form id="key-form" part="key" hidden>
    <label for="key-text" id="key-reason">This server asks for an access key.</label>
    <input class="visually-hidden" type="text" autocomplete="username" value="antiphon" tabindex="-1" aria-hidden="true">
    <input id="key-text" type="password" autocomplete="current-password" placeholder="Access key" required>
    <button type="submit">Continue</button>
  </form>
  <div id="controls" part="controls">
    <div id="stage" part="stage">
      <div class="meter" part="meter meter-you"><canvas id="meter-you" aria-hidden="true"></canvas><span>You</span></div>
      <button id="talk" part="talk" type="button" aria-describedby="state">
        <i class="halo" aria-hidden="true"></i><i class="ring" aria-hidden="true"></i><i class="arc" aria-hidden="true"></i>
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <rect x="9" y="3" width="6" height="11" rx="3"></rect>
          <path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3"></path>
          <path class="slash" d="M4.5 4.5l15 15"></path>
        </svg>
        <span id="talk-label" class="visually-hidden">Start talking</span>
      </button>
      <div class="meter it" part="meter meter-it"><canvas id="meter-it" aria-hidden="true"></canvas><span id="it-name"></span></div>
    </div>
    <div id="line">
      <p id="state" part="state"></p>
      <button id="stop" part="stop" type="button" aria-keyshortcuts="Escape" hidden>Stop</button>
    </div>
    <p id="latency" part="latency"><span id="response"></span><span id="silence"></span></p>
    <fieldset id="modes" part="modes">
      <legend class="visually-hidden">Microphone</legend>
      <label><input id="open" type="radio" name="mode" checked><span>Open mic</span></label>
      <label><input id="push" type="radio" name="mode"><span>Hold to talk</span></label>
    </fieldset>
    <!-- Only what one has to know: a screen reader must not talk into every turn. -->
    <p id="announcement" role="status" class="visually-hidden"></p>
    <form id="typing" part="typing" autocomplete="off">
      <label class="visually-hidden" for="text">Type instead of talking</label>
      <input id="text" part="text" name="text" maxlength="4000" placeholder="Or type here" enterkeyhint="send">
      <button type="submit" part="send" aria-label="Send">
        <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 19V5M6 11l6-6 6 6"></path></svg>
      </button>
    </form>
  </div>
</div>`;

export const STYLE = `
:host {
  --ground: var(--antiphon-ground, #faf9f7);
  --raised: var(--antiphon-raised, #ffffff);
  --wash: var(--antiphon-wash, #efede8);
  --line: var(--antiphon-line, #e2dfd8);
  --ink: var(--antiphon-ink, #1a1f23);
  --soft: var(--antiphon-soft, #565f68);
  --faint: var(--antiphon-faint, #69727b);
  --accent: var(--antiphon-accent, #0b7a6b);
  --on-accent: var(--antiphon-on-accent, #ffffff);
  --alarm: var(--antiphon-alarm, #9d2b20);
  --alarm-wash: var(--antiphon-alarm-wash, #fbeae7);
  --radius: var(--antiphon-radius, 20px);
  --column: var(--antiphon-column, 42rem);
  --button: var(--antiphon-button, 6.5rem);
  display: block;
  height: 36rem;
  color: var(--ink);
  background: var(--ground);
  font: var(--antiphon-font, 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif);
  container-type: inline-size;
  color-scheme: light dark;
}
:host([hidden]), [hidden] { display: none !important; }
:host([captions="off"]) #conversation, :host([typing="off"]) #typing { display: none; }
:host([captions="off"]) { height: auto; }
@media (prefers-color-scheme: dark) {
  :host(:not([theme="light"])) {
    --ground: var(--antiphon-ground, #101416);
    --raised: var(--antiphon-raised, #1a2023);
    --wash: var(--antiphon-wash, #1f272b);
    --line: var(--antiphon-line, #2d363b);
    --ink: var(--antiphon-ink, #eef0f0);
    --soft: var(--antiphon-soft, #a9b3b8);
    --faint: var(--antiphon-faint, #89949a);
    --accent: var(--antiphon-accent, #53cdb6);
    --on-accent: var(--antiphon-on-accent, #06231e);
    --alarm: var(--antiphon-alarm, #ffab9f);
    --alarm-wash: var(--antiphon-alarm-wash, #38201d);
    --lift: 22%;
  }
}
:host([theme="light"]) { color-scheme: light; }
:host([theme="dark"]) {
  color-scheme: dark;
  --ground: var(--antiphon-ground, #101416);
  --raised: var(--antiphon-raised, #1a2023);
  --wash: var(--antiphon-wash, #1f272b);
  --line: var(--antiphon-line, #2d363b);
  --ink: var(--antiphon-ink, #eef0f0);
  --soft: var(--antiphon-soft, #a9b3b8);
  --faint: var(--antiphon-faint, #89949a);
  --accent: var(--antiphon-accent, #53cdb6);
  --on-accent: var(--antiphon-on-accent, #06231e);
  --alarm: var(--antiphon-alarm, #ffab9f);
  --alarm-wash: var(--antiphon-alarm-wash, #38201d);
  --lift: 22%;
}

* { box-sizing: border-box; }
.visually-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; }
button, input { font: inherit; color: inherit; }
button { cursor: pointer; }
svg { fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }

#base { display: grid; grid-template: minmax(0, 1fr) auto auto auto / minmax(0, 1fr); height: 100%; }

/* --- the conversation --- */

#conversation { position: relative; display: grid; min-height: 0; overflow: hidden; }
#conversation::after {
  content: "";
  position: absolute;
  inset: auto 0 0;
  height: 2rem;
  background: linear-gradient(transparent, var(--ground));
  pointer-events: none;
}
#welcome { grid-area: 1 / 1; align-self: safe center; justify-self: center; max-width: 32rem; padding: 1.5rem; text-align: center; }
#welcome h2 { margin: 0 0 .75rem; font-size: clamp(1.75rem, 6cqi, 2.6rem); font-weight: 600; line-height: 1.12; letter-spacing: -.025em; text-wrap: balance; }
#welcome p { margin: 0; font-size: 1.05rem; color: var(--soft); text-wrap: balance; }

#captions {
  grid-area: 1 / 1;
  margin: 0;
  padding: 2rem max(1.25rem, (100% - var(--column)) / 2) 2.25rem;
  list-style: none;
  overflow-y: auto;
  overscroll-behavior: contain;
  display: flex;
  flex-direction: column;
  gap: 1.4rem;
  scrollbar-width: thin;
  scrollbar-color: var(--line) transparent;
}
#captions > :first-child { margin-top: auto; }
#captions:focus-visible { outline-offset: -4px; }

.entry { overflow-wrap: anywhere; text-wrap: pretty; }
.entry.it { font-size: clamp(1.15rem, 3.2cqi, 1.4rem); line-height: 1.5; letter-spacing: -.008em; }
.entry.it:not(:nth-last-child(-n + 4)) { font-size: 1.1rem; color: var(--soft); }
.entry.you {
  align-self: flex-end;
  max-width: min(82%, 30rem);
  padding: .55rem 1.05rem;
  border-radius: var(--radius) var(--radius) 5px var(--radius);
  background: var(--wash);
}
.entry.you.live { color: var(--soft); }
.entry.you.aside { padding: .25rem .8rem; background: none; border: 1px dashed var(--line); font-size: .9rem; color: var(--soft); }
.entry.note { align-self: center; max-width: 34rem; font-size: .875rem; color: var(--soft); text-align: center; text-wrap: balance; }
.facts { display: block; margin-top: .6rem; font: .72rem/1.5 ui-monospace, Menlo, Consolas, monospace; letter-spacing: 0; color: var(--faint); }

.rest { color: var(--faint); }
.now { color: var(--accent); transition: color .12s; }
.unheard { color: var(--faint); text-decoration-thickness: 1px; }

#latest {
  position: absolute;
  z-index: 1;
  bottom: .6rem;
  left: 50%;
  translate: -50% 0;
  padding: .4rem 1rem;
  border: 1px solid var(--line);
  border-radius: 2rem;
  background: var(--raised);
  font-size: .85rem;
  box-shadow: 0 2px 12px rgb(0 0 0 / .08);
}

/* --- what went wrong, and what is asked for --- */

#alert, #key-form { width: min(var(--column), 100% - 2rem); margin: 0 auto .75rem; border-radius: 14px; font-size: .925rem; }
#alert { display: flex; align-items: flex-start; gap: .5rem; padding: .7rem .5rem .7rem 1rem; background: var(--alarm-wash); color: var(--alarm); }
#alert p { flex: 1; margin: 0; text-wrap: pretty; }
#dismiss { display: grid; flex: none; width: 1.5rem; height: 1.5rem; padding: .2rem; border: 0; border-radius: .4rem; background: none; }
#key-form { display: flex; flex-wrap: wrap; gap: .6rem; padding: 1rem; border: 1px solid var(--line); background: var(--raised); }
#key-form label { flex-basis: 100%; }
#key-form input { flex: 1; min-width: 8rem; padding: .55rem .9rem; border: 1px solid var(--line); border-radius: 2rem; background: var(--ground); }
#key-form button { padding: .55rem 1.2rem; border: 0; border-radius: 2rem; background: var(--ink); color: var(--ground); }

/* --- the stage --- */

#controls { display: grid; justify-items: center; padding: .75rem 1.25rem max(1.25rem, env(safe-area-inset-bottom)); }
#stage { display: grid; grid-template-columns: minmax(0, 1fr) auto minmax(0, 1fr); align-items: center; gap: 2rem; width: min(var(--column), 100%); }
.meter { position: relative; height: 3.4rem; color: var(--soft); }
.meter.it { color: var(--accent); }
.meter canvas { display: block; width: 100%; height: 100%; border: 0 solid var(--line); }
.meter span { position: absolute; bottom: -1.1rem; right: 0; font-size: .75rem; color: var(--faint); }
.meter.it span { left: 0; right: auto; }

#talk {
  position: relative;
  display: grid;
  place-items: center;
  width: var(--button);
  height: var(--button);
  margin: 1rem;
  border: 1px solid transparent;
  border-radius: 50%;
  background: var(--ink);
  color: var(--ground);
  touch-action: none;
  user-select: none;
  -webkit-user-select: none;
  -webkit-touch-callout: none;
  -webkit-tap-highlight-color: transparent;
  transition: background .25s, color .25s, border-color .25s, scale .15s;
}
#talk:active { scale: .96; }
#talk svg { position: relative; width: 36%; }
#talk svg rect { fill: currentColor; }
#talk .slash { opacity: 0; stroke-width: 2; }
#talk i { position: absolute; inset: -1px; border-radius: 50%; pointer-events: none; }

/* Yours: a ring that grows with your voice. Its: a halo that grows with its own. */
.ring { border: 2px solid var(--accent); opacity: 0; scale: calc(1.1 + var(--mic, 0) * .22); transition: opacity .25s; }
.halo { background: var(--accent); opacity: 0; scale: calc(1.06 + var(--voice, 0) * .42); transition: opacity .3s; }
.arc { inset: -9px !important; border: 2px solid transparent; opacity: 0; }

[data-microphone="open"]#talk { background: var(--accent); color: var(--on-accent); }
:is([data-phase="listening"], [data-phase="muted"]) [data-microphone="open"] .ring { opacity: .55; }
[data-microphone="muted"]#talk, [data-microphone="refused"]#talk, [data-phase="insecure"] #talk {
  border-color: var(--line);
  background: var(--raised);
  color: var(--soft);
}
:is([data-microphone="muted"], [data-microphone="refused"], [data-phase="insecure"] #talk) .slash { opacity: 1; }
:is([data-microphone="muted"], [data-microphone="refused"], [data-phase="insecure"] #talk) svg rect { fill: none; }
[data-phase="speaking"] .halo { opacity: .2; }
[data-phase="interrupted"] .halo { opacity: .1; scale: 1.3; }
[data-phase="interrupted"] .ring { opacity: 1; }
[data-phase="interrupted"] .meter.it { opacity: .35; }
:is([data-phase="thinking"], [data-phase="connecting"], [data-phase="reconnecting"], [data-phase="asking"]) .arc {
  border-color: var(--accent) transparent transparent;
  opacity: 1;
  animation: turn 1.1s linear infinite;
}
:is([data-phase="connecting"], [data-phase="reconnecting"], [data-phase="asking"]) .arc { border-top-color: var(--faint); animation-duration: 1.6s; }
[data-phase="reconnecting"] #talk { opacity: .7; }

#line { display: flex; justify-content: center; align-items: center; gap: .75rem; min-height: 2.2rem; margin-top: .9rem; }
#state { margin: 0; max-width: 30rem; text-align: center; text-wrap: balance; font-size: 1.02rem; color: var(--ink); }
[data-phase="idle"] #state, [data-phase="muted"] #state, [data-phase="insecure"] #state { color: var(--soft); }
#stop { padding: .25rem .9rem; border: 1px solid var(--line); border-radius: 2rem; background: none; font-size: .875rem; }
/* Its line is there before there is anything to tell: the button stays where the thumb is. */
#latency { display: flex; gap: .9rem; min-height: 1.5em; margin: .1rem 0 0; font-size: .78rem; font-variant-numeric: tabular-nums; color: var(--faint); }
#latency span:empty { display: none; }

#modes { display: flex; margin: .9rem 0 0; padding: 3px; border: 0; border-radius: 2rem; background: var(--wash); font-size: .85rem; }
#modes label { position: relative; }
#modes input { position: absolute; inset: 0; margin: 0; opacity: 0; cursor: pointer; }
#modes span { display: block; padding: .3rem .95rem; border-radius: 2rem; color: var(--soft); }
#modes input:checked + span { background: color-mix(in srgb, var(--raised), var(--soft) var(--lift, 0%)); color: var(--ink); box-shadow: 0 1px 3px rgb(0 0 0 / .12); }
#modes input:focus-visible + span { outline: 2px solid var(--accent); outline-offset: 2px; }

#typing { position: relative; width: min(34rem, 100%); margin-top: 1.1rem; }
#typing input { width: 100%; padding: .7rem 3.2rem .7rem 1.2rem; border: 1px solid var(--line); border-radius: 2rem; background: var(--raised); }
#typing input::placeholder { color: var(--faint); opacity: 1; }
#typing button { position: absolute; top: 5px; right: 5px; bottom: 5px; display: grid; place-items: center; aspect-ratio: 1; padding: 0; border: 0; border-radius: 50%; background: none; color: var(--soft); }
#typing input:not(:placeholder-shown) + button { background: var(--ink); color: var(--ground); }
#typing svg { width: 1.15rem; }

@keyframes turn { to { rotate: 1turn; } }

@container (max-width: 34rem) {
  #stage { gap: .5rem; }
  #captions { padding-top: 1.25rem; }
}
@media (max-height: 38rem) {
  :host { --button: var(--antiphon-button, 4.5rem); }
  #talk { margin: .5rem 1rem; }
  #line { margin-top: .4rem; }
  #modes, #typing { margin-top: .5rem; }
}
@media (prefers-reduced-motion: reduce) {
  *, *::before, *::after { animation: none !important; transition: none !important; }
  .ring { scale: 1.12; }
  .halo { scale: 1.2; }
}
@media (forced-colors: active) {
  #talk { border: 2px solid ButtonText; }
  [data-microphone="open"]#talk { border-width: 6px; }
  #modes input:checked + span { outline: 2px solid Highlight; }
}
`;
