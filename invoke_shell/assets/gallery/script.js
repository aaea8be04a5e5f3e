
"use strict";
const words = document.getElementById("words"), kept = document.getElementById("kept");
const cards = [...document.querySelectorAll("figure")];
const texts = cards.map(card => card.textContent.toLowerCase());

// A number is that number: 2 is not in txt2img, nor in 24.
function has(text, word) {
  return /^@?\d+$/.test(word) ? new RegExp(`(^|[^0-9a-z.])${word}($|[^0-9a-z.])`).test(text) : text.includes(word);
}

function filter() {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  cards.forEach((card, n) => {
    card.hidden = !(wanted.every(word => has(texts[n], word)) && (!kept.checked || card.classList.contains("kept")));
    shown += !card.hidden;
  });
  document.getElementById("count").textContent = shown === cards.length ? `${shown}` : `${shown} of ${cards.length}`;
  document.getElementById("none").hidden = shown > 0;
}

function legacyCopy(text) {
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

async function copy(button) {
  const text = [...button.parentElement.querySelectorAll("pre")].pop().textContent;  // the one with every value
  let done = true;
  try { await navigator.clipboard.writeText(text); } catch { done = legacyCopy(text); }
  button.textContent = done ? "copied" : "select it by hand";
  setTimeout(() => { button.textContent = "copy the line"; }, 1500);
}

document.querySelector("main").addEventListener("click", event => {
  if (event.target.matches("button")) copy(event.target);
});
words.addEventListener("input", filter);
kept.addEventListener("change", filter);
words.value = decodeURIComponent(location.hash.slice(1));
filter();
