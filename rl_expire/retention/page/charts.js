/** The colours of the page; `write.py` sets them. */
const COLOUR = Object.fromEntries(
  ["relevant", "other", "decision", "future", "rule", "forgotten", "dim", "text"].map((name) => [
    name,
    getComputedStyle(document.documentElement)
      .getPropertyValue("--" + name)
      .trim(),
  ]),
);
const MARGIN = { left: 50, right: 12 };
/** Attention above which a memory gets a ring. */
const MIN_RING = 0.1;

/** A colour with an opacity from 0 to 1. */
function faded(colour, opacity) {
  return (
    colour +
    Math.round(255 * Math.min(1, Math.max(0, opacity)))
      .toString(16)
      .padStart(2, "0")
  );
}

/** Size a canvas for the screen's resolution; coordinates are CSS pixels. */
function context(canvas, height) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  canvas.style.height = height + "px";
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const draw = canvas.getContext("2d");
  draw.scale(ratio, ratio);
  draw.font = "13px system-ui, sans-serif";
  return { draw, width, height };
}

/** Horizontal positions of the steps of an episode. */
class TimeAxis {
  constructor(episode, width, margin = MARGIN) {
    this.episode = episode;
    this.left = margin.left;
    this.right = width - margin.right;
    this.pitch = (this.right - this.left) / Math.max(1, episode.length - episode.first);
  }

  /** The middle of a step; steps before the first one shown are at the left edge. */
  x(t) {
    return this.left + Math.max(0, t - this.episode.first + 0.5) * this.pitch;
  }

  /** The step at x, or the nearest one. */
  step(x) {
    const { first, length } = this.episode;
    const n = Math.floor((x - this.left) / this.pitch);
    return first + Math.min(length - first - 1, Math.max(0, n));
  }

  /** The first step and some round ones to label: [step, its number counting from 1]. */
  ticks() {
    const { first, length } = this.episode;
    const room = Math.max(2, Math.floor((this.right - this.left) / 90));
    const apart = roundUp((length - first) / room);
    const ticks = first ? [] : [[0, 1]];
    for (let n = apart * Math.ceil((first + 1) / apart); n <= length; n += apart) {
      if (n > 1) ticks.push([n - 1, n]);
    }
    return ticks;
  }

  label(draw, y) {
    draw.fillStyle = COLOUR.dim;
    if (this.left >= MARGIN.left) {
      draw.textAlign = "right";
      draw.fillText("step", this.left - 8, y);
    }
    draw.textAlign = "center";
    for (const [t, text] of this.ticks()) draw.fillText(text.toLocaleString("en"), this.x(t), y);
  }
}

/** Mark a decision with a small triangle that points down at (x, y). */
function markDecision(draw, x, y) {
  draw.fillStyle = COLOUR.decision;
  draw.beginPath();
  draw.moveTo(x, y);
  draw.lineTo(x - 4, y - 7);
  draw.lineTo(x + 4, y - 7);
  draw.fill();
}

/** Mark relevant observations and decisions above the slider. */
function drawMarks(canvas, episode) {
  const { draw, width, height } = context(canvas, 14);
  const axis = new TimeAxis(episode, width, { left: 8, right: 8 });
  draw.fillStyle = COLOUR.relevant;
  for (const t of episode.steps().filter((t) => episode.relevant(t))) {
    draw.beginPath();
    draw.arc(axis.x(t), height - 5, 3.5, 0, 7);
    draw.fill();
  }
  for (const t of episode.decisions) markDecision(draw, axis.x(t), height - 1);
}

/** Draw the memories of one layer at step t as bars, as high as their remaining lifetimes. */
function drawBars(canvas, episode, { layer, t, attention, selected, height }) {
  const { draw, width } = context(canvas, height);
  const axis = new TimeAxis(episode, width);
  const foot = height - 34;
  const top = 34;
  const scale = episode.scales[layer];
  const y = (remaining) =>
    foot - 3 - Math.min(1, Math.max(0, remaining) / scale) * (foot - 3 - top);
  drawScale(draw, axis, scale, (n) => n.toLocaleString("en"), y, height);
  draw.fillStyle = COLOUR.dim;
  draw.textAlign = "left";
  const prefix = episode.layers.length > 1 ? `layer ${layer + 1}: ` : "";
  const title = `${prefix}remaining lifetime of each memory (steps)`;
  draw.fillText(title, axis.left, 17);
  const free = axis.left + draw.measureText(title).width + 16;
  drawPast(draw, axis, episode, t, foot);
  const tops = new Map();
  for (const memory of episode.held(layer, t)) {
    const x = axis.x(memory.written);
    tops.set(memory.written, [x, y(memory.remaining)]);
    drawBar(draw, x, y(memory.remaining), foot, axis.pitch, {
      relevant: episode.relevant(memory.written),
      mask: memory.mask,
    });
  }
  for (const [written, share] of attention) {
    if (share > MIN_RING && tops.has(written)) ring(draw, ...tops.get(written), share);
  }
  drawNow(draw, axis, episode, { t, top, foot, free });
  if (selected !== null) drawSelected(draw, axis.x(selected), tops.get(selected)?.[1] ?? foot);
}

/** Draw the importance of each observation at step t as stems, unlike the bars of memories. */
function drawStems(canvas, episode, { t, attention, selected, height }) {
  const { draw, width } = context(canvas, height);
  const axis = new TimeAxis(episode, width);
  const foot = height - 34;
  const top = 46;
  const y = (share) => foot - 3 - share * (foot - 3 - top);
  drawScale(draw, axis, 1, percent, y, height);
  draw.textAlign = "left";
  draw.fillStyle = COLOUR.text;
  const title = "importance for the current action";
  draw.fillText(title, axis.left, 17);
  const free = axis.left + draw.measureText(title).width + 16;
  drawPast(draw, axis, episode, t, foot);
  for (const [step, share] of attention) {
    const needed = episode.relevant(step);
    const colour = needed ? COLOUR.relevant : COLOUR.other;
    const x = axis.x(step);
    draw.fillStyle = faded(colour, 0.75);
    draw.fillRect(x - 1, y(share), 2, foot - y(share));
    draw.fillStyle = colour;
    draw.beginPath();
    draw.arc(x, y(share), needed ? 6 : 4, 0, 7);
    draw.fill();
  }
  drawNow(draw, axis, episode, { t, top, foot, free });
  if (selected !== null) drawSelected(draw, axis.x(selected), y(attention.get(selected) ?? 0));
}

/** Draw grid lines from 0 to `full`, with labels, and label the time axis. */
function drawScale(draw, axis, full, label, y, height) {
  draw.strokeStyle = COLOUR.rule;
  draw.fillStyle = COLOUR.dim;
  draw.textAlign = "right";
  for (let n = 0; n <= 4; n++) {
    const line = Math.round(y((full * n) / 4)) + 0.5;
    draw.beginPath();
    draw.moveTo(axis.left, line);
    draw.lineTo(axis.right, line);
    draw.stroke();
    draw.fillText(label((full * n) / 4), axis.left - 8, line + 4);
  }
  axis.label(draw, height - 5);
}

/** Draw a small mark for every observation so far, kept or not. */
function drawPast(draw, axis, episode, t, foot) {
  const wide = Math.max(1, axis.pitch - 1);
  for (let n = episode.first; n <= t; n++) {
    draw.fillStyle = faded(episode.relevant(n) ? COLOUR.relevant : COLOUR.forgotten, 0.6);
    draw.fillRect(axis.x(n) - wide / 2, foot + 3, wide, 6);
  }
}

/** Draw the bar of one memory; the mask decides how bright it is. */
function drawBar(draw, x, top, foot, pitch, { relevant, mask }) {
  const colour = relevant ? COLOUR.relevant : COLOUR.other;
  const wide = Math.max(relevant ? 5 : 2, Math.min(14, pitch - 1));
  draw.fillStyle = faded(colour, 0.3 + 0.7 * mask);
  draw.fillRect(x - wide / 2, top, wide, foot + 9 - top);
  if (!relevant) return;
  draw.beginPath();
  draw.arc(x, top, 6, 0, 7);
  draw.fill();
}

/** Draw a ring around a memory that receives attention. */
function ring(draw, x, y, share) {
  draw.strokeStyle = faded(COLOUR.text, 0.35 + 0.65 * share);
  draw.lineWidth = 2;
  draw.beginPath();
  draw.arc(x, y, 5 + 7 * share, 0, 7);
  draw.stroke();
}

/** Draw a line at the current step, and the label of a decision if the title leaves room. */
function drawNow(draw, axis, episode, { t, top, foot, free }) {
  const x = axis.x(t);
  const decision = episode.at("decision", t);
  draw.strokeStyle = decision ? COLOUR.decision : COLOUR.dim;
  draw.lineWidth = decision ? 2 : 1;
  draw.beginPath();
  draw.moveTo(x, top - 6);
  draw.lineTo(x, foot + 12);
  draw.stroke();
  for (const step of episode.decisions) markDecision(draw, axis.x(step), top - 8);
  if (!decision) return;
  draw.fillStyle = COLOUR.decision;
  draw.textAlign = "left";
  const wide = draw.measureText("decision").width;
  const left = Math.max(free, Math.min(x - wide / 2, axis.right - wide));
  if (left < x && x < left + wide + 1) draw.fillText("decision", left, 17);
}

/** Draw a dotted line down to the bar of the selected memory. */
function drawSelected(draw, x, top) {
  draw.strokeStyle = COLOUR.text;
  draw.lineWidth = 1;
  draw.setLineDash([3, 3]);
  draw.beginPath();
  draw.moveTo(x, 24);
  draw.lineTo(x, Math.max(24, top - 14));
  draw.stroke();
  draw.setLineDash([]);
}

/** The step whose bar is nearest to x; a held memory if there is one close by. */
function barAt(canvas, episode, layer, t, x) {
  const axis = new TimeAxis(episode, canvas.clientWidth);
  let [best, distance] = [Math.min(axis.step(x), t), 14];
  const shown = episode.hasImportance
    ? [...episode.attention([layer], null, t).keys()]
    : episode.held(layer, t).map(({ written }) => written);
  for (const written of shown) {
    const away = Math.abs(axis.x(written) - x);
    if (away < distance) [best, distance] = [written, away];
  }
  return best;
}
