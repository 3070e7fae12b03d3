const BARS_HEIGHT = { one: 250, several: 170 };
const MOST_ACTIONS = 7;
const MOST_KEPT = 60;
const PEAKS = 6;

/** What is shown now: an episode, a step of it, a memory; and the controls that change it. */
class Page {
  constructor({ episodes, pictures }) {
    this.episodes = episodes.map((data) => new Episode(data, pictures));
    this.timer = null;
    this.hovered = null;
    this.tabbed = false;
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

  /** Show the start of an episode. */
  open(n) {
    const episode = (this.episode = this.episodes[n]);
    const { data } = episode;
    this.pause();
    this.t = episode.first;
    this.hovered = null;
    this.chosen = episode.seen.find((step) => episode.relevant(step)) ?? episode.seen[0];
    const one = this.episodes.length < 2 ? ` · ${this.title(episode)}` : "";
    $("about").textContent = `${data.env}${one}${data.greedy ? "" : " · actions sampled"}`;
    $("notes").replaceChildren(...data.notes.map((note) => element("li", "", note)));
    $("notes").hidden = !data.notes.length;
    showAll(".memories", episode.layers.length > 0 && !episode.reduced);
    showAll(".reduced", episode.reduced);
    showAll(".bare", !episode.layers.length);
    showAll(".flagged:not(.bare)", episode.flagged);
    if (!episode.flagged) showAll(".bare.flagged", false);
    showAll(".deciding", episode.decisions.length > 0);
    Object.assign($("scrub"), { min: episode.first, max: episode.length, value: this.t });
    this.openMemory();
    this.draw();
  }

  /** Show what there is to choose of an episode's memory. */
  openMemory() {
    const { episode } = this;
    const bare = !episode.layers.length;
    $("none").hidden = !bare && !episode.reduced;
    for (const id of ["card", "keeps", "history", "bars", "filters"]) $(id).hidden = bare;
    $("counter").parentElement.hidden = bare || episode.reduced;
    const numbers = (many) => Array.from({ length: many }, (_, n) => [n, `${n + 1}`]);
    fillSelect($("layer"), [["", "all"], ...numbers(episode.layers.length)]);
    fillSelect($("head"), [["", "all (the strongest)"], ...numbers(episode.heads)]);
    $("layer-choice").hidden = episode.layers.length < 2;
    $("head-choice").hidden = episode.heads < 2;
    this.openLayers();
  }

  /** A chart for each layer shown. */
  openLayers() {
    this.layers =
      $("layer").value === "" ? this.episode.layers.map((_, n) => n) : [Number($("layer").value)];
    this.head = $("head").value === "" ? null : Number($("head").value);
    this.shade = this.episode.reduced ? "attention" : $("shade").value;
    this.cells = this.layers.length
      ? this.episode.history(this.layers, this.head, this.shade)
      : null;
    $("shade-says").textContent =
      this.shade === "held"
        ? "Paler: fading out. Black: forgotten."
        : `The brighter, the more it ${this.episode.reduced ? "matters" : "is thought of"}.`;
    $("bars").replaceChildren(...this.layers.map((layer) => this.barsOf(layer)));
  }

  barsOf(layer) {
    const canvas = element("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute(
      "aria-label",
      `The memories of layer ${layer + 1}, by the step they were written at`,
    );
    const under = (event) => barAt(canvas, this.episode, layer, this.now, event.offsetX);
    this.point(
      canvas,
      (event) => this.hover(under(event)),
      (event) => this.choose(under(event)),
    );
    canvas.dataset.layer = layer;
    return canvas;
  }

  /** The step whose memory is shown: after the last action, still that of the last step. */
  get now() {
    return Math.min(this.t, this.episode.length - 1);
  }

  go(t) {
    this.t = Math.min(this.episode.length, Math.max(this.episode.first, t));
    if (this.t === this.episode.length) this.pause();
    this.draw();
  }

  choose(written) {
    this.chosen = written;
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
    this.timer = setTimeout(() => this.tick(), 1000 / Number($("pace").value));
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

  /** Pointing shows, a click or a tap chooses. */
  point(target, hover, choose) {
    target.addEventListener("click", choose);
    target.addEventListener(
      "pointermove",
      (event) => event.pointerType === "mouse" && hover(event),
    );
    target.addEventListener("pointerleave", () => this.hover(null));
  }

  listen() {
    $("episode").addEventListener("change", () => this.open(Number($("episode").value)));
    for (const id of ["layer", "head", "shade"]) {
      $(id).addEventListener("change", () => {
        this.openLayers();
        this.draw();
      });
    }
    $("play").addEventListener("click", () => this.toggle());
    $("back").addEventListener("click", () => this.step(-1));
    $("forth").addEventListener("click", () => this.step(1));
    $("scrub").addEventListener("input", () => this.step(Number($("scrub").value) - this.t));
    const under = (event) =>
      new HeatPlace($("heat"), this.episode).under(event.offsetX, event.offsetY, this.episode);
    const hover = (event) => this.tell(under(event));
    this.point($("heat"), hover, (event) => {
      this.chosen = under(event).written;
      this.step(under(event).t - this.t);
      this.tell(under(event));
    });
    for (const picture of [$("picture"), $("card-picture")]) sharpen(picture);
    // Not every browser says that the pointer left an element that was taken away.
    document.addEventListener("pointermove", ({ target }) => {
      if (!target.closest("canvas, .memory")) this.hover(null);
    });
    window.addEventListener("resize", () => this.draw());
    this.listenToKeys();
  }

  listenToKeys() {
    // A button reached with the Tab key is pressed with the space bar, as everywhere; one that was
    // clicked with the mouse leaves the space bar to the player.
    document.addEventListener("pointerdown", () => (this.tabbed = false));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Tab") this.tabbed = true;
      if (event.target.tagName === "SELECT" || event.altKey || event.ctrlKey || event.metaKey)
        return;
      const moves = { ArrowLeft: -1, ArrowRight: 1 };
      if (event.key in moves) this.step(moves[event.key] * (event.shiftKey ? 10 : 1));
      else if (event.key === " " && !(this.tabbed && event.target.tagName === "BUTTON"))
        this.toggle();
      else return;
      event.preventDefault();
    });
    // A list that something was chosen from with the mouse gives the arrow keys back.
    document.addEventListener("change", ({ target }) => {
      if (!this.tabbed && target.tagName === "SELECT") target.blur();
    });
    // Firefox presses a focused button when the space bar is let go.
    document.addEventListener("keyup", (event) => {
      if (event.key === " " && !this.tabbed) event.preventDefault();
    });
  }

  /** Move by some steps, which stops the player. */
  step(by) {
    this.pause();
    this.go(this.t + by);
  }

  draw() {
    this.drawWorld();
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

  drawWorld() {
    const { episode, t } = this;
    const over = t === episode.length;
    const sight = episode.sight(t);
    showSight(sight, episode.picture(sight), $("picture"), $("sentence"));
    const decides = !over && episode.at("decision", t);
    const needed = !over && episode.relevant(t);
    $("sight").style.borderColor = `var(--${decides ? "decides" : needed ? "relevant" : "rule"})`;
    $("mark").textContent = decides
      ? "decides now, from memory"
      : needed
        ? "● sees what it will need"
        : "";
    $("mark").className = `pill ${decides ? "solid" : "relevant"}`;
    $("step").textContent = `step ${count(Math.min(t + 1, episode.length))}`;
    $("of").textContent = `of ${count(episode.length)}${over ? ", the end" : ""}`;
    $("choice").hidden = over;
    $("outcome").hidden = !over;
    $("earned").textContent = trimmed(episode.earned(t));
    $("expects").hidden = over;
    if (over) this.drawOutcome();
    else this.drawChoice();
  }

  drawOutcome() {
    const { outcome, length } = this.episode.data;
    $("outcome").style.borderColor = outcome.colour;
    $("word").style.color = outcome.colour;
    $("word").textContent = outcome.word;
    $("score").textContent = `reward ${trimmed(outcome.reward)} in ${steps(length)}`;
  }

  /** The policy as bars, the action taken bright. */
  drawChoice() {
    const { episode, t } = this;
    const [policy, taken] = [episode.at("policy", t), episode.at("action", t)];
    const order = policy
      .map((_, n) => n)
      .sort((a, b) => (b === taken) - (a === taken) || policy[b] - policy[a]);
    const shown = order.slice(0, MOST_ACTIONS).sort((a, b) => a - b);
    $("policy").replaceChildren(
      ...shown.map((n) => {
        const row = element("div", n === taken ? "action taken" : "action");
        const track = element("span", "track");
        const bar = element("i");
        bar.style.width = `${100 * (policy[n] ?? 0)}%`;
        track.append(bar);
        row.append(
          element("span", "", episode.data.actions[n]),
          track,
          element("span", "", percent(policy[n] ?? 0)),
        );
        return row;
      }),
    );
    const value = episode.at("value", t);
    $("value").textContent = value === null ? "?" : value.toFixed(2);
  }

  drawCounter() {
    const { episode, layers, now } = this;
    const kept = layers.reduce((sum, layer) => sum + episode.held(layer, now).length, 0);
    $("kept").textContent = count(kept);
    $("seen").textContent = count((now + 1) * layers.length);
    $("where").textContent = layers.length > 1 ? `in ${layers.length} layers` : "seen";
    $("bytes").textContent = `${size(episode.bytes(layers, now))} of memory`;
  }

  /** Everything that depends on the memory chosen or pointed at. */
  drawMemory() {
    const { episode, now } = this;
    const chosen = this.hovered ?? this.chosen;
    const attention = episode.attention(this.layers, this.head, now);
    const height = this.layers.length > 1 ? BARS_HEIGHT.several : BARS_HEIGHT.one;
    for (const canvas of $("bars").children) {
      const layer = Number(canvas.dataset.layer);
      const paid = episode.attention([layer], this.head, now);
      const drawAll = episode.reduced ? drawStems : drawBars;
      drawAll(canvas, episode, { layer, t: now, attention: paid, chosen, height });
    }
    this.drawCard(chosen, attention);
    this.drawKept(chosen, attention);
    drawHeat($("heat"), episode, this.cells, { t: now, chosen });
    if (this.hovered === null) $("heat-says").textContent = "";
  }

  drawCard(written, attention) {
    const { episode } = this;
    const sight = episode.sight(written);
    const needed = episode.relevant(written);
    showSight(sight, episode.picture(sight), $("card-picture"), $("card-sentence"));
    $("card-sight").style.borderColor = `var(--${needed ? "relevant" : "other"})`;
    $("card-step").textContent = seenAt(written);
    $("card-mark").textContent = needed ? "● needed later" : "";
    $("card-mark").className = "pill relevant";
    $("card-layers").replaceChildren(...this.layers.map((layer) => this.fate(layer, written)));
    const now = element("div", "fact thought");
    now.append(
      element("span", "", episode.reduced ? "importance now" : "thought of now"),
      element("span", "", percent(attention.get(written) ?? 0)),
    );
    $("card-layers").append(now);
    this.drawPeaks(written);
  }

  /** What becomes of a memory in one layer, in words. */
  fate(layer, written) {
    const made = element("div", "fate");
    const { now, known, end, span } = this.episode.fate(layer, written, this.now);
    const facts = [];
    if (this.episode.reduced) return made;
    if (this.layers.length > 1) facts.push([`layer ${layer + 1}`, ""]);
    if (this.now < written) facts.push(["still to come", ""]);
    else if (!known) facts.push(["never kept", ""]);
    else facts.push(["given to last", lasting(span)]);
    if (now) facts.push(["will last", outlook(now)]);
    else if (known && this.now >= end) facts.push(["forgotten", `at step ${count(end + 1)}`]);
    for (const [name, value] of facts) {
      const row = element("div", "fact");
      row.append(element("span", "", name), element("span", "", value));
      made.append(row);
    }
    return made;
  }

  drawPeaks(written) {
    const peaks = this.episode.peaks(this.layers, this.head, written, PEAKS);
    $("peaks").replaceChildren(
      ...peaks.map(([t, share]) => {
        const button = element("button", "", `step ${count(t + 1)} · ${percent(share)}`);
        button.addEventListener("click", () => this.step(t - this.t));
        return button;
      }),
    );
    if (!peaks.length) $("peaks").textContent = "never";
  }

  /** The observations kept by the layers shown, the longest to last first. */
  drawKept(chosen, attention) {
    const { episode, now } = this;
    const kept = episode.reduced ? weighed(attention) : new Map();
    for (const memory of this.layers.flatMap((layer) => episode.held(layer, now))) {
      const before = kept.get(memory.written);
      if (!before || memory.remaining > before.remaining) kept.set(memory.written, memory);
    }
    const order = [...kept.values()].sort(
      (a, b) => b.remaining - a.remaining || a.written - b.written,
    );
    const shown = order.slice(0, MOST_KEPT);
    $("kept-list").className = shown.some(
      ({ written }) => episode.sight(written).text !== undefined,
    )
      ? "sentences"
      : "";
    this.keptItems(shown, chosen, attention);
    const rest = order.length - shown.length;
    $("more").textContent = rest ? `and ${count(rest)} more` : "";
  }

  /** Items stay the same elements from step to step, so that pointing and scrolling go on. */
  keptItems(memories, chosen, attention) {
    const list = $("kept-list");
    const old = new Map([...list.children].map((item) => [item.dataset.key, item]));
    const items = memories.map((memory) => {
      const key = `${$("episode").value}/${memory.written}`;
      const item = old.get(key) ?? this.keptItem(memory.written, key);
      item.classList.toggle("chosen", memory.written === chosen);
      const share = attention.get(memory.written) ?? 0;
      const marked = share > 0.1 && !this.episode.reduced;
      item.querySelector(".outlook").textContent = memory.matters ?? brief(memory);
      item.querySelector(".share").textContent = marked ? `◯ ${percent(share)}` : "\u00a0";
      item.style.opacity = 0.45 + 0.55 * memory.mask;
      return item;
    });
    const same =
      items.length === list.children.length && items.every((item, n) => item === list.children[n]);
    if (!same) list.replaceChildren(...items);
  }

  keptItem(written, key) {
    const { episode } = this;
    const sight = episode.sight(written);
    const item = element("button", episode.relevant(written) ? "memory needed" : "memory");
    item.dataset.key = key;
    item.dataset.step = written;
    if (sight.text === undefined) {
      item.append(
        Object.assign(sharpen(element("img")), {
          src: episode.picture(sight),
          alt: seenAt(written),
        }),
      );
    } else item.append(element("span", "said", sight.text));
    const left = element("span", "left");
    left.append(
      element("b", "", `step ${count(written + 1)}`),
      element("span", "outlook"),
      element("br"),
      element("span", "share"),
    );
    item.append(left);
    this.point(
      item,
      () => this.hover(written),
      () => this.choose(written),
    );
    return item;
  }

  /** Say what a cell of the heat map is. */
  tell({ written, t }) {
    this.hover(written);
    const { episode } = this;
    const memories = this.layers
      .flatMap((layer) => episode.held(layer, t))
      .filter((m) => m.written === written);
    const share = episode.attention(this.layers, this.head, t).get(written) ?? 0;
    const most = memories.reduce((a, b) => (a && a.remaining > b.remaining ? a : b), null);
    let fate = t < written ? "not there yet" : "forgotten";
    if (most) fate = `${outlook(most)}; thought of ${percent(share)}`;
    if (episode.reduced && t >= written) fate = `importance ${percent(share)}`;
    $("heat-says").textContent = `At step ${count(t + 1)}, what was ${seenAt(written)}: ${fate}.`;
  }
}

window.page = new Page(JSON.parse($("data").textContent));
