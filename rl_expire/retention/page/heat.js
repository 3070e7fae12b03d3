/** Where the rows of the heat map lie. */
class HeatPlace {
  constructor(canvas, episode) {
    this.axis = new TimeAxis(episode, canvas.clientWidth);
    this.rows = episode.seen;
    this.top = 12;
    this.height = Math.max(160, Math.min(320, canvas.clientWidth * 0.5, 14 * this.rows.length));
    this.pitch = this.height / this.rows.length;
  }

  /** The middle of the row of an observation. */
  y(written) {
    return this.top + (this.rows.indexOf(written) + 0.5) * this.pitch;
  }

  /** The observation and the step under a point; a row needed later draws the pointer to it. */
  under(x, y, episode) {
    const n = Math.floor((y - this.top) / this.pitch);
    let written = this.rows[Math.min(this.rows.length - 1, Math.max(0, n))];
    const close = this.rows.filter((w) => episode.relevant(w) && Math.abs(this.y(w) - y) < 5);
    if (close.length) written = close[0];
    return { written, t: this.axis.step(x) };
  }
}

/** All memories over time. `cells` are an episode's `history`. */
function drawHeat(canvas, episode, cells, { t, chosen }) {
  const place = new HeatPlace(canvas, episode);
  const { draw, width, height } = pen(canvas, place.height + place.top + 24);
  draw.imageSmoothingEnabled = false;
  const { axis } = place;
  const image = keptHeatImage(episode, cells, axis.right - axis.left, place.height);
  draw.drawImage(image, axis.left, place.top, axis.right - axis.left, place.height);
  drawNeededRows(draw, place, episode, cells);
  axis.label(draw, height - 6);
  draw.textAlign = "right";
  const labels = [place.rows[0], place.rows.at(-1)];
  labels.forEach((step, n) => {
    draw.fillText((step + 1).toLocaleString("en"), axis.left - 8, place.y(step) + (n ? 4 : 8));
  });
  for (const step of episode.decisions) triangle(draw, axis.x(step), place.top - 2);
  drawCross(draw, place, episode, t, chosen, width);
}

const heatImages = new WeakMap();

/** The image of some cells, drawn once for each size: it stays the same from step to step. */
function keptHeatImage(episode, cells, width, height) {
  const size = `${width} ${height} ${window.devicePixelRatio}`;
  let kept = heatImages.get(cells);
  if (kept?.size !== size) {
    kept = { size, image: heatImage(episode, cells, width, height) };
    heatImages.set(cells, kept);
  }
  return kept.image;
}

/** The cells as an image of no more pixels than the screen has: the largest of those that meet. */
function heatImage(episode, cells, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [columns, rows] = [cells.length / episode.seen.length, episode.seen.length];
  const wide = Math.max(1, Math.min(columns, Math.floor(width * ratio)));
  const high = Math.max(1, Math.min(rows, Math.floor(height * ratio)));
  const image = document.createElement("canvas");
  [image.width, image.height] = [wide, high];
  const draw = image.getContext("2d");
  const data = draw.createImageData(wide, high);
  const colours = [COLOUR.other, COLOUR.relevant].map((hex) =>
    [1, 3, 5].map((n) => parseInt(hex.slice(n, n + 2), 16)),
  );
  for (let row = 0; row < rows; row++) {
    const colour = colours[Number(episode.relevant(episode.seen[row]))];
    const start = Math.floor((row * high) / rows) * wide;
    for (let column = 0; column < columns; column++) {
      const opacity = Math.round(255 * cells[row * columns + column]);
      const at = 4 * (start + Math.floor((column * wide) / columns));
      if (opacity > data.data[at + 3]) data.data.set([...colour, opacity], at);
    }
  }
  draw.putImageData(data, 0, 0);
  return image;
}

/** Rows of what is needed later again, thick enough to be seen. */
function drawNeededRows(draw, place, episode, cells) {
  if (place.pitch >= 3) return;
  const columns = cells.length / place.rows.length;
  place.rows.forEach((written, row) => {
    if (!episode.relevant(written)) return;
    const y = Math.max(place.top, place.y(written) - 1.5);
    for (let n = 0; n < columns; n++) {
      const share = cells[row * columns + n];
      if (!share) continue;
      draw.fillStyle = faded(COLOUR.relevant, share);
      draw.fillRect(place.axis.left + n * place.axis.pitch, y, place.axis.pitch + 0.3, 3);
    }
  });
}

/** The step now, and the row of the memory chosen. */
function drawCross(draw, place, episode, t, chosen) {
  const { axis, top, height } = place;
  draw.strokeStyle = episode.at("decision", t) ? COLOUR.decides : COLOUR.dim;
  draw.lineWidth = 1;
  draw.beginPath();
  draw.moveTo(axis.x(t), top);
  draw.lineTo(axis.x(t), top + height);
  draw.stroke();
  if (chosen === null) return;
  draw.fillStyle = COLOUR.text;
  draw.beginPath();
  draw.moveTo(axis.left - 1, place.y(chosen));
  draw.lineTo(axis.left - 7, place.y(chosen) - 4);
  draw.lineTo(axis.left - 7, place.y(chosen) + 4);
  draw.fill();
}
