const MAX_PEAKS = 6;

/** Show one memory or observation in detail. `view` says which layers, head and step are shown. */
function drawCard(view, written, attention) {
  const { episode, layers } = view;
  const observation = episode.observation(written);
  const needed = episode.relevant(written);
  showObservation(observation, episode.picture(observation), $("card-picture"), $("card-text"));
  $("card-observation").style.borderColor = `var(--${needed ? "relevant" : "other"})`;
  $("card-step").textContent = observedAt(written);
  $("card-kind").textContent = needed ? "● needed later" : "";
  $("card-kind").className = "pill relevant";
  const label = episode.hasImportance ? "importance now" : "attention now";
  $("card-layers").replaceChildren(
    ...(episode.hasImportance ? [] : layers.map((layer) => layerFacts(view, layer, written))),
    factRow(label, percent(attention.get(written) ?? 0), "attention"),
  );
  drawPeaks(view, written);
}

/** The lifetime of a memory in one layer, in words. */
function layerFacts({ episode, layers, now: t }, layer, written) {
  const { now, known, end, span } = episode.memory(layer, written, t);
  const facts = [];
  if (layers.length > 1) facts.push([`layer ${layer + 1}`, ""]);
  if (t < written) facts.push(["not observed yet", ""]);
  else if (!known) facts.push(["never kept", ""]);
  else facts.push(["lifetime", lifetime(span)]);
  if (now) facts.push(["remaining", remainingLifetime(now)]);
  else if (known && t >= end) facts.push(["forgotten", `at step ${count(end + 1)}`]);
  const box = element("div", "layer");
  box.append(...facts.map(([name, value]) => factRow(name, value)));
  return box;
}

/** Buttons that go to the steps at which a memory received most attention. */
function drawPeaks({ episode, layers, head, goTo }, written) {
  const peaks = episode.attentionPeaks(layers, head, written, MAX_PEAKS);
  $("peaks").replaceChildren(
    ...peaks.map(([t, share]) => {
      const button = element("button", "", `step ${count(t + 1)} · ${percent(share)}`);
      button.addEventListener("click", () => goTo(t));
      return button;
    }),
  );
  if (!peaks.length) $("peaks").textContent = "no step";
}
