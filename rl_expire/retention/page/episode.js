"use strict";

/** One episode: its data, read the way the page asks for them. Steps count from 0. */
class Episode {
  constructor(data, pictures) {
    this.data = data;
    this.pictures = pictures;
    this.first = data.first;
    this.length = data.length;
    // An agent without memories has what mattered instead, as if one head had attended to it.
    this.reduced = Boolean(data.importance);
    this.layers = this.reduced ? [data.importance] : data.layers;
    this.heads = Math.max(0, ...this.layers.map((layer) => layer.heads));
    // The observations that can be told of, in the order seen: a few early ones, then all shown.
    this.seen = Object.keys(data.sights)
      .map(Number)
      .sort((a, b) => a - b);
    this.flagged = this.seen.some((step) => data.sights[step].relevant !== null);
    this.decisions = this.steps().filter((t) => this.at("decision", t));
    this.full = this.layers.map((layer) => roundUp(longest(layer)));
    this.rewards = [data.earned ?? 0];
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

  /** What was seen at step t; t = length is after the last action. */
  sight(t) {
    return t < this.length ? this.data.sights[t] : this.data.end;
  }

  relevant(t) {
    return Boolean(this.data.sights[t]?.relevant);
  }

  picture(sight) {
    return this.pictures[sight.picture];
  }

  earned(t) {
    return this.rewards[t - this.first];
  }

  /** The memories a layer holds at step t, oldest first: written, span, remaining, mask. */
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

  /** What becomes of the memory of step `written` in a layer, as of step t. */
  fate(layer, written, t) {
    const now = this.held(layer, t).find((memory) => memory.written === written);
    const lives = this.layers[layer].held.filter((life) => life[0] === written);
    const end = Math.max(...lives.map((life) => life[2]));
    const latest = lives.findLast((life) => life[1] <= t) ?? lives[0];
    return { now, known: lives.length > 0, end, span: latest ? (latest[3] ?? Infinity) : null };
  }

  /** The largest share that some head of those given pays each memory at step t. */
  attention(layers, head, t) {
    const most = new Map();
    for (const shares of this.heeding(layers, head)) {
      for (const [written, share] of toMap(shares[t - this.first])) {
        most.set(written, Math.max(share / 255, most.get(written) ?? 0));
      }
    }
    return most;
  }

  /** The columns of attention of one head (null: of all heads) in some layers. */
  heeding(layers, head) {
    return layers.flatMap((n) => {
      const all = this.layers[n].attention;
      return head === null ? all : all.slice(head, head + 1);
    });
  }

  /** At which steps the memory of step `written` got the largest shares: [step, share]. */
  peaks(layers, head, written, most) {
    const found = new Map();
    for (const shares of this.heeding(layers, head)) {
      shares.forEach((pairs, n) => {
        for (let k = 0; k < pairs.length; k += 2) {
          if (pairs[k] !== written) continue;
          const t = this.first + n;
          found.set(t, Math.max(pairs[k + 1] / 255, found.get(t) ?? 0));
        }
      });
    }
    return [...found].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, most);
  }

  bytes(layers, t) {
    return layers.reduce((sum, n) => sum + this.layers[n].bytes[t - this.first], 0);
  }

  /**
   * How strongly each cell (observation row, step column) shows, 0 to 1, row by row.
   *
   * What is kept is seen however faint it is; small shares of attention are raised to be seen.
   */
  history(layers, head, shade) {
    const width = this.length - this.first;
    const cells = new Float32Array(width * this.seen.length);
    const row = new Map(this.seen.map((written, n) => [written, n * width]));
    const raise = (written, n, share) => {
      const at = row.get(written) + n;
      cells[at] = Math.max(cells[at], share);
    };
    if (shade === "attention") {
      for (const shares of this.heeding(layers, head)) {
        shares.forEach((pairs, n) => {
          for (const [written, share] of toMap(pairs)) raise(written, n, Math.sqrt(share / 255));
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
          raise(written, n, 0.25 + (0.75 * (masks[n].get(written) ?? 255)) / 255);
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

/** The most steps that any memory of a layer still has before it. */
function longest(layer) {
  const left = layer.held.map(([written, from, , span]) => (span ?? 0) - (from - written));
  return left.reduce((a, b) => Math.max(a, b), 1);
}

/** The next of 5, 10, 20, 25, 50, 100, 200, 250, ... that is at least `value`. */
function roundUp(value) {
  for (let power = 1; ; power *= 10) {
    for (const step of [5, 10, 20, 25]) if (step * power >= value) return step * power;
  }
}
