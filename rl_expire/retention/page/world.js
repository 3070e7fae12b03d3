const MAX_ACTIONS = 7;

/** Show the environment at step t: the observation, the action or the outcome, and the rewards. */
function drawWorld(episode, t) {
  const over = t === episode.length;
  const observation = episode.observation(t);
  showObservation(observation, episode.picture(observation), $("picture"), $("text"));
  const decision = !over && episode.at("decision", t);
  const needed = !over && episode.relevant(t);
  const border = decision ? "decision" : needed ? "relevant" : "rule";
  $("observation").style.borderColor = `var(--${border})`;
  $("kind").textContent = decision ? "decision from memory" : needed ? "● needed later" : "";
  $("kind").className = `pill ${decision ? "solid" : "relevant"}`;
  $("step").textContent = `step ${count(Math.min(t + 1, episode.length))}`;
  $("of").textContent = `of ${count(episode.length)}${over ? ", the end" : ""}`;
  $("action").hidden = over;
  $("outcome").hidden = !over;
  $("reward").textContent = rounded(episode.rewardBefore(t));
  $("estimate").hidden = over;
  if (over) drawOutcome(episode);
  else drawPolicy(episode, t);
}

function drawOutcome(episode) {
  const { outcome, length } = episode.data;
  $("outcome").style.borderColor = outcome.colour;
  $("word").style.color = outcome.colour;
  $("word").textContent = outcome.word;
  $("score").textContent = `reward ${rounded(outcome.reward)} in ${steps(length)}`;
}

/** Show the policy as bars, those of the action taken bright. */
function drawPolicy(episode, t) {
  const [policy, taken] = [episode.at("policy", t), episode.at("taken", t)];
  const order = policy
    .map((_, n) => n)
    .sort((a, b) => taken.includes(b) - taken.includes(a) || policy[b] - policy[a]);
  const shown = order.slice(0, MAX_ACTIONS).sort((a, b) => a - b);
  $("policy").replaceChildren(
    ...shown.map((n) => {
      const row = element("div", taken.includes(n) ? "action taken" : "action");
      const track = element("span", "track");
      const bar = element("i");
      bar.style.width = `${100 * (policy[n] ?? 0)}%`;
      track.append(bar);
      const name = element("span", "", episode.data.actions[n]);
      row.append(name, track, element("span", "", percent(policy[n] ?? 0)));
      return row;
    }),
  );
  const value = episode.at("value", t);
  $("value").textContent = value === null ? "?" : value.toFixed(2);
}
