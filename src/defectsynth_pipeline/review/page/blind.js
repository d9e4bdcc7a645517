"use strict";
// Real or synthetic? Crops in random order, half of them real base images; the score and its interval.

const blind = document.getElementById("blind");
const part = (id) => document.getElementById(id);
let trials = [], answers = [], begun = 0;

// 95 % interval of a share, Wilson's score.
function wilson(right, of) {
  if (!of) return [0, 1];
  const z = 1.959963984540054, share = right / of, scale = 1 + z ** 2 / of;
  const middle = (share + z ** 2 / (2 * of)) / scale;
  const half = (z / scale) * Math.sqrt((share * (1 - share)) / of + z ** 2 / (4 * of ** 2));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

function shuffled(items) {
  const mixed = [...items];
  for (let last = mixed.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    [mixed[last], mixed[other]] = [mixed[other], mixed[last]];
  }
  return mixed;
}

const kindOf = (one) => `${one.category} / ${one.type}`;
const offered = () => DESK.blind.map((one, file) => ({ ...one, file }))
  .filter((one) => part("kind").value === "" || kindOf(one) === part("kind").value);

function openTest() {
  blind.hidden = false;
  fill(part("kind"), [["", "all"], ...[...new Set(DESK.blind.map(kindOf))].sort().map((kind) => [kind, kind])]);
  offerCounts();
  only("start");
  part("many").focus();
}

function offerCounts() {
  const most = offered().length;
  const sizes = [10, 20, 40, 60, 100, 200].filter((size) => size < most);
  fill(part("many"), [...sizes, most].map((size) => [size, size === most ? `${size}, all` : size]));
  part("many").value = sizes.includes(40) ? 40 : most;
  part("about").textContent = most
    ? `${most / 2} crops are of real base images and ${most / 2} of synthetic ones that the certificate accepted. ` +
      "They come in random order and without outlines: say of each what it is. Take the test before you look " +
      "through the images, since the page shows the real ones beside them."
    : "There is no real base image that can be read, so there is nothing to compare.";
  part("start").querySelector("button").disabled = !most;
}

function begin() {
  if (!offered().length) return;
  const some = shuffled(offered()), half = Math.floor(Number(part("many").value) / 2);
  const of = (real) => some.filter((one) => one.real === real).slice(0, half);
  trials = shuffled([...of(true), ...of(false)]);
  answers = [];
  only("trial");
  ask();
}

function ask() {
  if (answers.length === trials.length) return finish();
  part("count").textContent = `${answers.length + 1} of ${trials.length}`;
  part("shown").src = `blind/${trials[answers.length].file}.jpg`;
  begun = performance.now();
}

function answer(real) {
  const { id, category, type, real: truth } = trials[answers.length];
  const seconds = Math.round((performance.now() - begun) / 100) / 10;
  answers.push({ id, category, type, real: truth, said_real: real, seconds });
  ask();
}

function scored(some) {
  const right = some.filter((one) => one.real === one.said_real).length;
  const [low, high] = wilson(right, some.length);
  return { n: some.length, right, share: some.length ? right / some.length : 0, low, high };
}

const percent = (share) => `${Math.round(share * 100)} %`;
const inWords = ({ n, right, share, low, high }) =>
  `${right} of ${n} right: ${percent(share)} (95 % interval ${percent(low)} to ${percent(high)})`;

function finish() {
  const all = scored(answers);
  only("result");
  part("score").textContent = inWords(all);
  part("meaning").textContent =
    all.low > 0.5 ? "Better than guessing, which is 50 %: the synthetic ones can be told from the real ones."
    : all.high < 0.5 ? "Worse than guessing: what you took for real was synthetic more often than not."
    : `No better than guessing, 50 %, as far as ${all.n} answers can tell: with more you might still be right in up to ${percent(all.high)}.`;
  const groups = new Map([["real ones", answers.filter((one) => one.real)], ["synthetic ones", answers.filter((one) => !one.real)]]);
  for (const one of answers) groups.set(kindOf(one), [...(groups.get(kindOf(one)) || []), one]);
  part("table").replaceChildren(
    ...[...groups].map(([name, some]) => {
      const row = document.createElement("tr");
      for (const text of [name, inWords(scored(some))]) row.insertCell().textContent = text;
      return row;
    }),
  );
}

function asResult() {
  const { set, pictures, version } = DESK, { n, right, low, high } = scored(answers);
  const told = { format: "defectsynth-blind-1", set, pictures, version, reviewer: store.reviewer };
  return { ...told, saved: new Date().toISOString(), n, right, low, high, answers };
}

function only(shownPart) {
  for (const name of ["start", "trial", "result"]) part(name).hidden = name !== shownPart;
}

function keyInTest(event) {
  const guess = { ArrowLeft: true, ArrowRight: false }[event.key];
  if (event.key === "Escape") blind.hidden = true;
  else if (!part("trial").hidden && guess !== undefined && !event.repeat) answer(guess);
  else if (!part("start").hidden && event.key === "Enter" && event.target.id !== "leave") begin();
  else if (!part("result").hidden && event.key.toLowerCase() === "s") part("keep").click();
  else return;
  event.preventDefault();
}

part("test").onclick = openTest;
part("leave").onclick = () => { blind.hidden = true; };
part("kind").onchange = offerCounts;
part("start").onsubmit = (event) => { event.preventDefault(); begin(); };
part("real").onclick = () => answer(true);
part("synthetic").onclick = () => answer(false);
part("keep").onclick = () => download("blind_test.json", asResult());
part("again").onclick = openTest;
