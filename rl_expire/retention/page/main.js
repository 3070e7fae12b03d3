const PANEL_HEIGHT = { single: 250, several: 170 };

/** The state of the page (episode, step, selected memory), and the controls that change it. */
class Page {
  constructor({ episodes, pictures }) {
    this.episodes = episodes.map((data) => new Episode(data, pictures));
    this.timer = null;
    this.hovered = null;
    this.usedTab = false;
    fillSelect(
      $("episode"),
      this.episodes.map((episode, n) => [n, this.title(episode)]),
    );
    $("episode-choice").hidden = this.episodes.length < 2;
    this.listen();
    this.open(0);
  }

  title({ data }) {
    return `seed ${data.seed} · ${data.outcome.word.toLowerCase()} · ${steps(data.length)}`;
  }

  /** The step whose memory is shown: after the last action, still that of the last step. */
  get now() {
    return Math.min(this.t, this.episode.length - 1);
  }

  /** What the parts of the page need to know, and may do. */
  get view() {
    return {
      episode: this.episode,
      layers: this.layers,
      head: this.head,
      now: this.now,
      hover: (written) => this.hover(written),
      leave: () => this.hover(null),
      select: (written) => this.select(written),
      goTo: (t) => this.jump(t),
    };
  }

  /** Show the start of an episode. */
  open(n) {
    const episode = (this.episode = this.episodes[n]);
    const { data } = episode;
    this.pause();
    this.t = episode.first;
    this.hovered = null;
    this.selected = episode.observed.find((step) => episode.relevant(step)) ?? episode.observed[0];
    const title = this.episodes.length < 2 ? ` · ${this.title(episode)}` : "";
    $("about").textContent = `${data.env}${title}${data.greedy ? "" : " · actions sampled"}`;
    $("notes").replaceChildren(...data.notes.map((note) => element("li", "", note)));
    $("notes").hidden = !data.notes.length;
    const hasLayers = episode.layers.length > 0;
    showAll(".memories", hasLayers && !episode.hasImportance);
    showAll(".importance", episode.hasImportance);
    showAll(".flagged", episode.flagged);
    if (hasLayers) showAll(".no-layers", false);
    showAll(".has-decisions", episode.decisions.length > 0);
    Object.assign($("scrub"), { min: episode.first, max: episode.length, value: this.t });
    this.openMemory();
    this.draw();
  }

  /** Show the parts of the page that the episode's memory has data for, and fill in the filters. */
  openMemory() {
    const { episode } = this;
    const hasLayers = episode.layers.length > 0;
    $("no-memories").hidden = hasLayers && !episode.hasImportance;
    for (const id of ["card", "kept-section", "history", "panels", "filters"]) {
      $(id).hidden = !hasLayers;
    }
    $("counter").parentElement.hidden = !hasLayers || episode.hasImportance;
    const numbers = (total) => Array.from({ length: total }, (_, n) => [n, `${n + 1}`]);
    fillSelect($("layer"), [["", "all"], ...numbers(episode.layers.length)]);
    fillSelect($("head"), [["", "all (maximum)"], ...numbers(episode.heads)]);
    $("layer-choice").hidden = episode.layers.length < 2;
    $("head-choice").hidden = episode.heads < 2;
    this.applyFilters();
  }

  /** Read the filters, and create a panel for each layer shown. */
  applyFilters() {
    const { episode } = this;
    const [layer, head] = [$("layer").value, $("head").value];
    this.layers = layer === "" ? episode.layers.map((_, n) => n) : [Number(layer)];
    this.head = head === "" ? null : Number(head);
    const mode = episode.hasImportance ? "attention" : $("heat-mode").value;
    this.cells = this.layers.length ? episode.heatCells(this.layers, this.head, mode) : null;
    const bright = `Brighter: more ${episode.hasImportance ? "important" : "attention"}.`;
    $("heat-legend").textContent = mode === "held" ? "Pale: fading out. Dark: forgotten." : bright;
    $("panels").replaceChildren(...this.layers.map((n) => this.createPanel(n)));
  }

  createPanel(layer) {
    const canvas = element("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Memories of layer ${layer + 1} by the step written`);
    canvas.dataset.layer = layer;
    const at = (event) => barAt(canvas, this.episode, layer, this.now, event.offsetX);
    onPoint(canvas, {
      hover: (event) => this.hover(at(event)),
      leave: () => this.hover(null),
      select: (event) => this.select(at(event)),
    });
    return canvas;
  }

  /** Go to step t, or to the nearest one there is. */
  go(t) {
    this.t = Math.min(this.episode.length, Math.max(this.episode.first, t));
    if (this.t === this.episode.length) this.pause();
    this.draw();
  }

  /** Stop playing and go to step t. */
  jump(t) {
    this.pause();
    this.go(t);
  }

  select(written) {
    this.selected = written;
    this.hovered = null;
    this.drawMemory();
  }

  hover(written) {
    if (written === this.hovered) return;
    this.hovered = written;
    this.drawMemory();
  }

  play() {
    if (this.t === this.episode.length) this.t = this.episode.first;
    this.timer = setTimeout(() => this.tick(), 0);
    this.drawPlayer();
  }

  tick() {
    this.timer = setTimeout(() => this.tick(), 1000 / Number($("speed").value));
    this.go(this.t + 1);
  }

  pause() {
    clearTimeout(this.timer);
    this.timer = null;
    if (this.episode) this.drawPlayer();
  }

  toggle() {
    if (this.timer === null) this.play();
    else this.pause();
  }

  listen() {
    $("episode").addEventListener("change", () => this.open(Number($("episode").value)));
    for (const id of ["layer", "head", "heat-mode"]) {
      $(id).addEventListener("change", () => {
        this.applyFilters();
        this.draw();
      });
    }
    $("play").addEventListener("click", () => this.toggle());
    $("back").addEventListener("click", () => this.jump(this.t - 1));
    $("forward").addEventListener("click", () => this.jump(this.t + 1));
    $("scrub").addEventListener("input", () => this.jump(Number($("scrub").value)));
    this.listenToHeat();
    for (const picture of [$("picture"), $("card-picture")]) sharpen(picture);
    // Not every browser reports that the pointer left an element that was removed.
    document.addEventListener("pointermove", ({ target }) => {
      if (!target.closest("canvas, .memory")) this.hover(null);
    });
    window.addEventListener("resize", () => this.draw());
    this.listenToKeys();
  }

  listenToHeat() {
    const at = (event) =>
      new HeatLayout($("heat"), this.episode).at(event.offsetX, event.offsetY, this.episode);
    onPoint($("heat"), {
      hover: (event) => this.describeCell(at(event)),
      leave: () => this.hover(null),
      select: (event) => {
        const cell = at(event);
        this.selected = cell.written;
        this.jump(cell.t);
        this.describeCell(cell);
      },
    });
  }

  listenToKeys() {
    // The space bar plays and pauses, unless a button was reached with the Tab key: then it presses
    // that button, as everywhere.
    document.addEventListener("pointerdown", () => (this.usedTab = false));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Tab") this.usedTab = true;
      if (event.target.tagName === "SELECT" || event.altKey || event.ctrlKey || event.metaKey)
        return;
      const moves = { ArrowLeft: -1, ArrowRight: 1 };
      if (event.key in moves) this.jump(this.t + moves[event.key] * (event.shiftKey ? 10 : 1));
      else if (event.key === " " && !(this.usedTab && event.target.tagName === "BUTTON"))
        this.toggle();
      else return;
      event.preventDefault();
    });
    // A list that was used with the mouse gives the arrow keys back to the player.
    document.addEventListener("change", ({ target }) => {
      if (!this.usedTab && target.tagName === "SELECT") target.blur();
    });
    // Firefox presses a focused button when the space bar is released.
    document.addEventListener("keyup", (event) => {
      if (event.key === " " && !this.usedTab) event.preventDefault();
    });
  }

  draw() {
    drawWorld(this.episode, this.t);
    this.drawPlayer();
    drawMarks($("marks"), this.episode);
    if (!this.layers.length) return;
    this.drawCounter();
    this.drawMemory();
  }

  drawPlayer() {
    $("play").textContent = this.timer === null ? "▶\uFE0E" : "❚❚";
    $("play").setAttribute("aria-label", this.timer === null ? "Play" : "Pause");
    $("scrub").value = this.t;
  }

  drawCounter() {
    const { episode, layers, now } = this;
    const kept = layers.reduce((sum, layer) => sum + episode.held(layer, now).length, 0);
    $("kept").textContent = count(kept);
    $("written").textContent = count((now + 1) * layers.length);
    $("unit").textContent = layers.length > 1 ? `kept in ${layers.length} layers` : "memories kept";
    $("bytes").textContent = `${size(episode.bytes(layers, now))} of memory`;
  }

  /** Draw everything that depends on the memory that is selected or pointed at. */
  drawMemory() {
    const { episode, now, view } = this;
    const selected = this.hovered ?? this.selected;
    const attention = episode.attention(this.layers, this.head, now);
    const height = this.layers.length > 1 ? PANEL_HEIGHT.several : PANEL_HEIGHT.single;
    for (const canvas of $("panels").children) {
      const layer = Number(canvas.dataset.layer);
      const received = episode.attention([layer], this.head, now);
      const drawPanel = episode.hasImportance ? drawStems : drawBars;
      drawPanel(canvas, episode, { layer, t: now, attention: received, selected, height });
    }
    drawCard(view, selected, attention);
    drawKept(view, selected, attention);
    drawHeat($("heat"), episode, this.cells, { t: now, selected });
    if (this.hovered === null) $("heat-cell").textContent = "";
  }

  /** Describe a cell of the heat map in words. */
  describeCell({ written, t }) {
    this.hover(written);
    const { episode } = this;
    const memories = this.layers
      .flatMap((layer) => episode.held(layer, t))
      .filter((memory) => memory.written === written);
    const share = percent(episode.attention(this.layers, this.head, t).get(written) ?? 0);
    const longest = memories.reduce((a, b) => (a && a.remaining > b.remaining ? a : b), null);
    let state = t < written ? "not observed yet" : "forgotten";
    if (longest) state = `remaining ${remainingLifetime(longest)}; attention ${share}`;
    if (episode.hasImportance && t >= written) state = `importance ${share}`;
    $("heat-cell").textContent =
      `At step ${count(t + 1)}, the observation of step ${count(written + 1)}: ${state}.`;
  }
}

window.page = new Page(JSON.parse($("data").textContent));
