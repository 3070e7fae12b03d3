const MAX_KEPT = 60;

/** List the observations that the layers shown keep, the longest remaining lifetime first. */
function drawKept(view, selected, attention) {
  const { episode } = view;
  const order = [...keptMemories(view, attention).values()].sort(
    (a, b) => b.remaining - a.remaining || a.written - b.written,
  );
  const shown = order.slice(0, MAX_KEPT);
  const hasTexts = shown.some(({ written }) => episode.observation(written).text !== undefined);
  $("kept-list").className = hasTexts ? "texts" : "";
  fillKept(view, shown, selected, attention);
  const rest = order.length - shown.length;
  $("more").textContent = rest ? `and ${count(rest)} more` : "";
}

/** The memories to list, by step; of several layers, the one with the longest lifetime left. */
function keptMemories({ episode, layers, now }, attention) {
  if (episode.hasImportance) return importanceAsMemories(attention);
  const kept = new Map();
  for (const memory of layers.flatMap((layer) => episode.held(layer, now))) {
    const other = kept.get(memory.written);
    if (!other || memory.remaining > other.remaining) kept.set(memory.written, memory);
  }
  return kept;
}

/** Observations in the form of memories, ordered by importance instead of lifetime. */
function importanceAsMemories(importance) {
  const entry = ([written, share]) => [
    written,
    { written, remaining: share, mask: 1, label: percent(share) },
  ];
  return new Map([...importance].map(entry));
}

/** Fill the list, reusing its elements so that hovering and scrolling go on undisturbed. */
function fillKept(view, memories, selected, attention) {
  const list = $("kept-list");
  const old = new Map([...list.children].map((item) => [item.dataset.key, item]));
  const items = memories.map((memory) => {
    const key = `${$("episode").value}/${memory.written}`;
    const item = old.get(key) ?? keptItem(view, memory.written, key);
    item.classList.toggle("selected", memory.written === selected);
    const share = attention.get(memory.written) ?? 0;
    const ringed = share > MIN_RING && !view.episode.hasImportance;
    item.querySelector(".remaining").textContent = memory.label ?? remainingShort(memory);
    item.querySelector(".share").textContent = ringed ? `◯ ${percent(share)}` : "\u00a0";
    item.style.opacity = 0.45 + 0.55 * memory.mask;
    return item;
  });
  const same =
    items.length === list.children.length && items.every((item, n) => item === list.children[n]);
  if (!same) list.replaceChildren(...items);
}

/** A button with a thumbnail or a text, and lines for the lifetime and the attention. */
function keptItem({ episode, hover, leave, select }, written, key) {
  const observation = episode.observation(written);
  const item = element("button", episode.relevant(written) ? "memory needed" : "memory");
  item.dataset.key = key;
  item.dataset.step = written;
  if (observation.text === undefined) {
    const [src, alt] = [episode.picture(observation), observedAt(written)];
    item.append(Object.assign(sharpen(element("img")), { src, alt }));
  } else item.append(element("span", "text", observation.text));
  const caption = element("span", "caption");
  caption.append(
    element("b", "", `step ${count(written + 1)}`),
    element("span", "remaining"),
    element("br"),
    element("span", "share"),
  );
  item.append(caption);
  onPoint(item, { hover: () => hover(written), leave, select: () => select(written) });
  return item;
}
