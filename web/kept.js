// What this browser remembers of its user's choices.

const PLACE = "antiphon";

/** @returns {Record<string, any>} */
export function kept() {
  try {
    return JSON.parse(localStorage.getItem(PLACE)) ?? {};
  } catch {
    return {};
  }
}

/** @param {Record<string, any>} changes */
export function keep(changes) {
  try {
    localStorage.setItem(PLACE, JSON.stringify({ ...kept(), ...changes }));
  } catch {
    // Private windows forget; that is what they are for.
  }
}
