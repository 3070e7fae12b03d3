/** A share of 1 as a percentage. */
function percent(share) {
  return share > 0 && share < 0.005 ? "<1%" : `${Math.round(100 * share)}%`;
}

function count(number) {
  return number.toLocaleString("en");
}

function steps(number) {
  return `${count(number)} ${number === 1 ? "step" : "steps"}`;
}

function observedAt(written) {
  return `observed at step ${count(written + 1)}`;
}

/** A lifetime in steps, which need not be a whole number. */
function lifetime(number) {
  if (number === Infinity) return "unlimited";
  return number < 10 ? `${number.toFixed(1)} steps` : steps(Math.round(number));
}

/** The remaining lifetime of a memory. */
function remainingLifetime(memory) {
  if (memory.remaining < 0) return `fading out, mask ${memory.mask.toFixed(2)}`;
  return lifetime(memory.remaining);
}

/** The remaining lifetime of a memory, short enough to stand below a thumbnail. */
function remainingShort({ remaining }) {
  if (remaining < 0) return "fading out";
  if (remaining === Infinity) return "unlimited";
  return remaining < 10 ? `${remaining.toFixed(1)} left` : `${count(Math.round(remaining))} left`;
}

function size(bytes) {
  return bytes < 1e6 ? `${count(Math.round(bytes / 1000))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** A number with at most three decimals; null stands for NaN and infinities. */
function rounded(number) {
  return number === null ? "?" : String(Number(number.toFixed(3)));
}
