/** Positions of the rows and columns of the heat map. */
class HeatLayout {
  constructor(canvas, episode) {
    this.axis = new TimeAxis(episode, canvas.clientWidth);
    this.rows = episode.observed;
    this.top = 12;
    this.height = Math.max(160, Math.min(320, canvas.clientWidth * 0.5, 14 * this.rows.length));
    this.pitch = this.height / this.rows.length;
  }

  /** The middle of an observation's row. */
  y(written) {
    return this.top + (this.rows.indexOf(written) + 0.5) * this.pitch;
  }

  /** The observation and the step at a point; rows of relevant observations attract the pointer. */
  at(x, y, episode) {
    const n = Math.floor((y - this.top) / this.pitch);
    let written = this.rows[Math.min(this.rows.length - 1, Math.max(0, n))];
    const close = this.rows.filter((w) => episode.relevant(w) && Math.abs(this.y(w) - y) < 5);
    if (close.length) written = close[0];
    return { written, t: this.axis.step(x) };
  }
}

/** Draw all memories over time; `cells` come from `Episode.heatCells`. */
function drawHeat(canvas, episode, cells, { t, selected }) {
  const layout = new HeatLayout(canvas, episode);
  const { draw, height } = context(canvas, layout.height + layout.top + 24);
  draw.imageSmoothingEnabled = false;
  const { axis } = layout;
  const image = cachedHeatImage(episode, cells, axis.right - axis.left, layout.height);
  draw.drawImage(image, axis.left, layout.top, axis.right - axis.left, layout.height);
  drawNeededRows(draw, layout, episode, cells);
  axis.label(draw, height - 6);
  draw.textAlign = "right";
  const labels = [layout.rows[0], layout.rows.at(-1)];
  labels.forEach((step, n) => {
    draw.fillText((step + 1).toLocaleString("en"), axis.left - 8, layout.y(step) + (n ? 4 : 8));
  });
  for (const step of episode.decisions) markDecision(draw, axis.x(step), layout.top - 2);
  drawCross(draw, layout, episode, t, selected);
}

/** Heat map images by their cells: the image stays the same from step to step. */
const heatImages = new WeakMap();

/** The image of some cells, drawn once for each size. */
function cachedHeatImage(episode, cells, width, height) {
  const size = `${width} ${height} ${window.devicePixelRatio}`;
  let cached = heatImages.get(cells);
  if (cached?.size !== size) {
    cached = { size, image: heatImage(episode, cells, width, height) };
    heatImages.set(cells, cached);
  }
  return cached.image;
}

/** The cells as an image at the screen's resolution; cells that share a pixel show the largest. */
function heatImage(episode, cells, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [columns, rows] = [cells.length / episode.observed.length, episode.observed.length];
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
    const colour = colours[Number(episode.relevant(episode.observed[row]))];
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

/** Draw thin rows of relevant observations again, thick enough to be visible. */
function drawNeededRows(draw, layout, episode, cells) {
  if (layout.pitch >= 3) return;
  const columns = cells.length / layout.rows.length;
  layout.rows.forEach((written, row) => {
    if (!episode.relevant(written)) return;
    const y = Math.max(layout.top, layout.y(written) - 1.5);
    for (let n = 0; n < columns; n++) {
      const share = cells[row * columns + n];
      if (!share) continue;
      draw.fillStyle = faded(COLOUR.relevant, share);
      draw.fillRect(layout.axis.left + n * layout.axis.pitch, y, layout.axis.pitch + 0.3, 3);
    }
  });
}

/** Mark the current step and the row of the selected memory. */
function drawCross(draw, layout, episode, t, selected) {
  const { axis, top, height } = layout;
  draw.strokeStyle = episode.at("decision", t) ? COLOUR.decision : COLOUR.dim;
  draw.lineWidth = 1;
  draw.beginPath();
  draw.moveTo(axis.x(t), top);
  draw.lineTo(axis.x(t), top + height);
  draw.stroke();
  if (selected === null) return;
  draw.fillStyle = COLOUR.text;
  draw.beginPath();
  draw.moveTo(axis.left - 1, layout.y(selected));
  draw.lineTo(axis.left - 7, layout.y(selected) - 4);
  draw.lineTo(axis.left - 7, layout.y(selected) + 4);
  draw.fill();
}
