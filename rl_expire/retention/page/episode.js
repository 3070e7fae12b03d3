/**
 * The data of one episode. Steps count from 0; a memory is identified by the step it was written at.
 *
 * An agent without per-step memories has importance instead, in the form of one layer that holds
 * nothing and whose only head pays attention.
 */
class Episode {
  constructor(data, pictures) {
    this.data = data;
    this.pictures = pictures;
    this.first = data.first;
    this.length = data.length;
    this.hasImportance = Boolean(data.importance);
    this.layers = this.hasImportance ? [data.importance] : data.layers;
    this.heads = Math.max(0, ...this.layers.map((layer) => layer.heads));
    // Observations of steps before the first one shown are there if they were still held.
    this.observed = Object.keys(data.observations)
      .map(Number)
      .sort((a, b) => a - b);
    this.flagged = this.observed.some((step) => data.observations[step].relevant !== null);
    this.decisions = this.steps().filter((t) => this.at("decision", t));
    this.scales = this.layers.map((layer) => roundUp(longestRemaining(layer)));
    this.rewards = [data.reward_before ?? 0];
    for (const reward of data.reward) this.rewards.push(this.rewards.at(-1) + (reward ?? 0));
  }

  /** The steps shown. */
  steps() {
    return Array.from({ length: this.length - this.first }, (_, n) => this.first + n);
  }

  /** An entry of a column. */
  at(column, t) {
    return this.data[column][t - this.first];
  }

  /** The observation of step t; t = length is after the last action. */
  observation(t) {
    return t < this.length ? this.data.observations[t] : this.data.end;
  }

  relevant(t) {
    return Boolean(this.data.observations[t]?.relevant);
  }

  picture(observation) {
    return this.pictures[observation.picture];
  }

  /** The sum of rewards before action t. */
  rewardBefore(t) {
    return this.rewards[t - this.first];
  }

  /** The memories that a layer holds at step t, earliest first. */
  held(layer, t) {
    const { held, fading } = this.layers[layer];
    const masks = toMap(fading[t - this.first]);
    return held
      .filter(([, from, until]) => from <= t && t < until)
      .map(([written, , , span]) => ({
        written,
        span: span ?? Infinity,
        remaining: (span ?? Infinity) - (t - written),
        mask: (masks.get(written) ?? 255) / 255,
      }))
      .sort((a, b) => a.written - b.written);
  }

  /**
   * The memory of step `written` in a layer, as of step t.
   *
   * `now` is the memory if it is held at step t, `end` the step from which on it is forgotten.
   */
  memory(layer, written, t) {
    const now = this.held(layer, t).find((memory) => memory.written === written);
    const entries = this.layers[layer].held.filter((entry) => entry[0] === written);
    const end = Math.max(...entries.map((entry) => entry[2]));
    const latest = entries.findLast((entry) => entry[1] <= t) ?? entries[0];
    return { now, known: entries.length > 0, end, span: latest ? (latest[3] ?? Infinity) : null };
  }

  /** The largest attention that any of the given heads pays each memory at step t. */
  attention(layers, head, t) {
    const largest = new Map();
    for (const column of this.attentionColumns(layers, head)) {
      for (const [written, share] of toMap(column[t - this.first])) {
        largest.set(written, Math.max(share / 255, largest.get(written) ?? 0));
      }
    }
    return largest;
  }

  /** The attention columns of one head, or of all heads if null, in some layers. */
  attentionColumns(layers, head) {
    return layers.flatMap((n) => {
      const all = this.layers[n].attention;
      return head === null ? all : all.slice(head, head + 1);
    });
  }

  /** The steps at which a memory received most attention: [step, attention]. */
  attentionPeaks(layers, head, written, limit) {
    const largest = new Map();
    for (const column of this.attentionColumns(layers, head)) {
      column.forEach((pairs, n) => {
        for (let k = 0; k < pairs.length; k += 2) {
          if (pairs[k] !== written) continue;
          const t = this.first + n;
          largest.set(t, Math.max(pairs[k + 1] / 255, largest.get(t) ?? 0));
        }
      });
    }
    return [...largest].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, limit);
  }

  bytes(layers, t) {
    return layers.reduce((sum, n) => sum + this.layers[n].bytes[t - this.first], 0);
  }

  /**
   * The brightness in [0, 1] of each cell of the heat map (row: observation, column: step).
   *
   * Cells are ordered row by row. Held memories are visible however faint they are, and small
   * attention is raised to be visible.
   */
  heatCells(layers, head, mode) {
    const width = this.length - this.first;
    const cells = new Float32Array(width * this.observed.length);
    const row = new Map(this.observed.map((written, n) => [written, n * width]));
    const brighten = (written, n, share) => {
      const at = row.get(written) + n;
      cells[at] = Math.max(cells[at], share);
    };
    if (mode === "attention") {
      for (const column of this.attentionColumns(layers, head)) {
        column.forEach((pairs, n) => {
          for (const [written, share] of toMap(pairs)) brighten(written, n, Math.sqrt(share / 255));
        });
      }
      return cells;
    }
    for (const layer of layers) {
      const { held, fading } = this.layers[layer];
      const masks = fading.map(toMap);
      for (const [written, from, until] of held) {
        for (let t = from; t < until; t++) {
          const n = t - this.first;
          brighten(written, n, 0.25 + (0.75 * (masks[n].get(written) ?? 255)) / 255);
        }
      }
    }
    return cells;
  }
}

/** [key, value, key, value, ...] as a Map. */
function toMap(pairs) {
  const map = new Map();
  for (let n = 0; n < pairs.length; n += 2) map.set(pairs[n], pairs[n + 1]);
  return map;
}

/** The longest remaining lifetime of any memory of a layer, in steps. */
function longestRemaining(layer) {
  const remaining = layer.held.map(([written, from, , span]) => (span ?? 0) - (from - written));
  return remaining.reduce((a, b) => Math.max(a, b), 1);
}

/** The first of 5, 10, 20, 25, 50, 100, 200, 250, ... that is at least `value`. */
function roundUp(value) {
  for (let power = 1; ; power *= 10) {
    for (const step of [5, 10, 20, 25]) if (step * power >= value) return step * power;
  }
}
