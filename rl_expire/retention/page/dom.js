"use strict";

const $ = (id) => document.getElementById(id);

/** Create an element with a class and a text; the text is never parsed as HTML. */
function element(tag, name = "", text = "") {
  const created = document.createElement(tag);
  created.className = name;
  created.textContent = text;
  return created;
}

/** A line with a name at the left and a value at the right. */
function factRow(name, value, kind = "") {
  const row = element("div", `fact ${kind}`);
  row.append(element("span", "", name), element("span", "", value));
  return row;
}

function fillSelect(select, options) {
  select.replaceChildren(
    ...options.map(([value, text]) => Object.assign(element("option", "", text), { value })),
  );
}

/** Enlarge small pictures without smoothing; large ones are shrunk smoothly. */
function sharpen(picture) {
  picture.addEventListener("load", () => {
    picture.classList.toggle("enlarged", picture.naturalHeight < picture.clientHeight);
  });
  return picture;
}

function showAll(selector, shown) {
  for (const each of document.querySelectorAll(selector)) each.hidden = !shown;
}

/** Show an observation: its text if it has one, otherwise its picture. */
function showObservation(observation, source, picture, text) {
  const words = observation.text ?? (source ? null : "The episode is over.");
  text.hidden = words === null;
  picture.hidden = words !== null;
  if (words === null) picture.src = source;
  else text.textContent = words;
}

/** Call `hover` while the mouse points at an element, and `select` when it is clicked or tapped. */
function onPoint(target, { hover, leave, select }) {
  target.addEventListener("click", select);
  target.addEventListener("pointermove", (event) => event.pointerType === "mouse" && hover(event));
  target.addEventListener("pointerleave", leave);
}
