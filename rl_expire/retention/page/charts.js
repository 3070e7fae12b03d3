/** The colours of the page, which Python gives. */
const COLOUR = Object.fromEntries(
  ["relevant", "other", "decides", "future", "rule", "forgotten", "dim", "text"].map((name) => [
    name,
    getComputedStyle(document.documentElement)
      .getPropertyValue("--" + name)
      .trim(),
  ]),
);
const MARGIN = { left: 50, right: 12 };

/** A colour with an opacity. */
function faded(colour, opacity) {
  return (
    colour +
    Math.round(255 * Math.min(1, Math.max(0, opacity)))
      .toString(16)
      .padStart(2, "0")
  );
}

/** Make a canvas as sharp as the screen; all drawing is in CSS pixels. */
function pen(canvas, height) {
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

/** Where the steps of an episode lie, left to right. */
class TimeAxis {
  constructor(episode, width, margin = MARGIN) {
    this.episode = episode;
    this.left = margin.left;
    this.right = width - margin.right;
    this.pitch = (this.right - this.left) / Math.max(1, episode.length - episode.first);
  }

  /** The middle of a step; steps before the first one shown lie at the left edge. */
  x(t) {
    return this.left + Math.max(0, t - this.episode.first + 0.5) * this.pitch;
  }

  /** The step at x, the nearest one outside. */
  step(x) {
    const { first, length } = this.episode;
    const n = Math.floor((x - this.left) / this.pitch);
    return first + Math.min(length - first - 1, Math.max(0, n));
  }

  /** Some round steps to label: [step, its number counted from 1]. */
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
    draw.textAlign = "center";
    for (const [t, text] of this.ticks()) draw.fillText(text.toLocaleString("en"), this.x(t), y);
  }
}

/** A small triangle that points down at (x, y): a decision. */
function triangle(draw, x, y) {
  draw.fillStyle = COLOUR.decides;
  draw.beginPath();
  draw.moveTo(x, y);
  draw.lineTo(x - 4, y - 7);
  draw.lineTo(x + 4, y - 7);
  draw.fill();
}

/** The marks over the slider: what is needed later and where it decides. */
function drawMarks(canvas, episode) {
  const { draw, width, height } = pen(canvas, 14);
  const axis = new TimeAxis(episode, width, { left: 8, right: 8 });
  draw.fillStyle = COLOUR.relevant;
  for (const t of episode.steps().filter((t) => episode.relevant(t))) {
    draw.beginPath();
    draw.arc(axis.x(t), height - 5, 3.5, 0, 7);
    draw.fill();
  }
  for (const t of episode.decisions) triangle(draw, axis.x(t), height - 1);
}

/** The memories of one layer at step t, each a bar as high as it will still last. */
function drawBars(canvas, episode, { layer, t, attention, chosen, height }) {
  const { draw, width } = pen(canvas, height);
  const axis = new TimeAxis(episode, width);
  const foot = height - 34;
  const top = 34;
  const y = (left) =>
    foot - 3 - Math.min(1, Math.max(0, left) / episode.full[layer]) * (foot - 3 - top);
  drawScale(draw, axis, episode.full[layer], y, height);
  draw.fillStyle = COLOUR.dim;
  draw.textAlign = "left";
  const which = episode.layers.length > 1 ? `layer ${layer + 1}: ` : "";
  const title = `${which}steps each memory will still last`;
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
    if (share > 0.1 && tops.has(written)) ring(draw, ...tops.get(written), share);
  }
  drawNow(draw, axis, episode, { t, top, foot, free });
  if (chosen !== null) drawChosen(draw, axis.x(chosen), tops.get(chosen)?.[1] ?? foot);
}

/** What matters at step t: a stem for each thing seen, unlike the bars of memories held. */
function drawStems(canvas, episode, { t, attention, chosen, height }) {
  const { draw, width } = pen(canvas, height);
  const axis = new TimeAxis(episode, width);
  const foot = height - 34;
  const top = 46;
  const y = (share) => foot - 3 - share * (foot - 3 - top);
  drawScale(draw, axis, 100, (share) => y(share / 100), height);
  draw.textAlign = "left";
  draw.fillStyle = COLOUR.text;
  draw.fillText("importance for this decision (%)", axis.left, 17);
  const free = axis.left + draw.measureText("importance for this decision (%)").width + 16;
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
  if (chosen !== null) drawChosen(draw, axis.x(chosen), y(attention.get(chosen) ?? 0));
}

function drawScale(draw, axis, full, y, height) {
  draw.strokeStyle = COLOUR.rule;
  draw.fillStyle = COLOUR.dim;
  draw.textAlign = "right";
  for (let n = 0; n <= 4; n++) {
    const line = Math.round(y((full * n) / 4)) + 0.5;
    draw.beginPath();
    draw.moveTo(axis.left, line);
    draw.lineTo(axis.right, line);
    draw.stroke();
    draw.fillText(((full * n) / 4).toLocaleString("en"), axis.left - 8, line + 4);
  }
  axis.label(draw, height - 5);
}

/** Small marks for everything seen so far, kept or not. */
function drawPast(draw, axis, episode, t, foot) {
  const wide = Math.max(1, axis.pitch - 1);
  for (let n = episode.first; n <= t; n++) {
    draw.fillStyle = faded(episode.relevant(n) ? COLOUR.relevant : COLOUR.forgotten, 0.6);
    draw.fillRect(axis.x(n) - wide / 2, foot + 3, wide, 6);
  }
}

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

/** A ring around a memory that gets a share of some head's attention. */
function ring(draw, x, y, share) {
  draw.strokeStyle = faded(COLOUR.text, 0.35 + 0.65 * share);
  draw.lineWidth = 2;
  draw.beginPath();
  draw.arc(x, y, 5 + 7 * share, 0, 7);
  draw.stroke();
}

/** The step now; the words are drawn where the title leaves them room. */
function drawNow(draw, axis, episode, { t, top, foot, free }) {
  const x = axis.x(t);
  const decides = episode.at("decision", t);
  draw.strokeStyle = decides ? COLOUR.decides : COLOUR.dim;
  draw.lineWidth = decides ? 2 : 1;
  draw.beginPath();
  draw.moveTo(x, top - 6);
  draw.lineTo(x, foot + 12);
  draw.stroke();
  for (const step of episode.decisions) triangle(draw, axis.x(step), top - 8);
  if (!decides) return;
  draw.fillStyle = COLOUR.decides;
  draw.textAlign = "left";
  const wide = draw.measureText("decides now").width;
  const left = Math.max(free, Math.min(x - wide / 2, axis.right - wide));
  if (left < x && x < left + wide + 1) draw.fillText("decides now", left, 17);
}

/** A dotted line down to the bar of the memory chosen. */
function drawChosen(draw, x, top) {
  draw.strokeStyle = COLOUR.text;
  draw.lineWidth = 1;
  draw.setLineDash([3, 3]);
  draw.beginPath();
  draw.moveTo(x, 24);
  draw.lineTo(x, Math.max(24, top - 14));
  draw.stroke();
  draw.setLineDash([]);
}

/** The step whose bar is nearest to x; a held one if there is one close by. */
function barAt(canvas, episode, layer, t, x) {
  const axis = new TimeAxis(episode, canvas.clientWidth);
  let [best, distance] = [Math.min(axis.step(x), t), 14];
  const shown = episode.reduced
    ? [...episode.attention([layer], null, t).keys()]
    : episode.held(layer, t).map(({ written }) => written);
  for (const written of shown) {
    const away = Math.abs(axis.x(written) - x);
    if (away < distance) [best, distance] = [written, away];
  }
  return best;
}
