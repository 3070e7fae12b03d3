const $ = (id) => document.getElementById(id);

/** An element with a class and a text; whatever the text holds, it stays text. */
function element(tag, name = "", text = "") {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
}

const percent = (share) => (share > 0 && share < 0.005 ? "<1 %" : `${Math.round(100 * share)} %`);
const count = (number) => number.toLocaleString("en");
const steps = (number) => `${count(number)} ${number === 1 ? "step" : "steps"}`;
const seenAt = (written) => `seen at step ${count(written + 1)}`;

/** A number of steps that need not be whole. */
function lasting(number) {
  if (number === Infinity) return "for good";
  return number < 10 ? `${number.toFixed(1)} steps` : steps(Math.round(number));
}

/** How long a held memory will still last, in a few words. */
function outlook(memory) {
  if (memory.remaining < 0) return `fading out, ${percent(memory.mask)} left`;
  return memory.remaining === Infinity ? "for good" : `${lasting(memory.remaining)} more`;
}

function size(bytes) {
  return bytes < 1e6 ? `${count(Math.round(bytes / 1000))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function fillSelect(select, options) {
  select.replaceChildren(
    ...options.map(([value, text]) => Object.assign(element("option", "", text), { value })),
  );
}

/** Enlarge small pictures pixel by pixel; to shrink a large one so would tear its lines. */
function sharpen(picture) {
  picture.addEventListener("load", () => {
    picture.classList.toggle("enlarged", picture.naturalHeight < picture.clientHeight);
  });
  return picture;
}

function showAll(selector, shown) {
  for (const each of document.querySelectorAll(selector)) each.hidden = !shown;
}

/** Show an observation: its words if it has any, or else its picture. */
function showSight(sight, source, picture, sentence) {
  const words = sight.text ?? (source ? null : "The episode is over.");
  sentence.hidden = words === null;
  picture.hidden = words !== null;
  if (words === null) picture.src = source;
  else sentence.textContent = words;
}

/** How long a memory will still last, in the width of a small picture. */
function brief({ remaining }) {
  if (remaining < 0) return "fading out";
  if (remaining === Infinity) return "for good";
  return remaining < 10 ? `${remaining.toFixed(1)} left` : `${count(Math.round(remaining))} left`;
}

/** What matters, in the form of memories that last the longer the more they matter. */
function weighed(attention) {
  const entry = ([written, share]) => [
    written,
    { written, remaining: share, mask: 1, matters: percent(share) },
  ];
  return new Map([...attention].map(entry));
}

/** A number without needless digits. */
function trimmed(number) {
  return number === null ? "?" : String(Number(number.toFixed(3)));
}
