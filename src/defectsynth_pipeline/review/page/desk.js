"use strict";
// Filters, keys and buttons: what a person does, and what it does to the store, grid and panel.

const REASONS = ["no defect to see", "looks pasted", "wrong place", "wrong type", "the outline does not fit", "does not look real"];
const SORTS = {
  "as made": () => 0,
  "certainty, lowest first": (a, b) => rank(a.certainty) - rank(b.certainty),
  "certainty, highest first": (a, b) => rank(b.certainty) - rank(a.certainty),
  "contrast, lowest first": (a, b) => rank(a.contrast) - rank(b.contrast),
  "smallest first": (a, b) => rank(a.mask_pixels) - rank(b.mask_pixels),
  "largest first": (a, b) => rank(b.mask_pixels) - rank(a.mask_pixels),
};
const rank = (value) => (value === undefined ? -1 : value);
const DECIDED = {
  "": () => true, no: (one) => !one, yes: (one) => one, accepted: (one) => one && one.verdict === "accepted",
  rejected: (one) => one && one.verdict === "rejected", "of another type": (one) => one && one.type,
};

function fill(select, options) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
}

const valuesOf = (key, images = DESK.images) => [...new Set(images.map((image) => image[key]))].sort();
const offer = (id, values) => fill(part(id), [["", "all"], ...values.map((value) => [value, value])]);

function typesOf(category) {
  return valuesOf("type", DESK.images.filter((image) => !category || image.category === category));
}

function filter() {
  const wanted = {};
  for (const key of ["category", "type", "engine", "verdict"]) wanted[key] = part(key).value;
  const [least, most] = ["least", "most"].map((id) => Number(part(id).value));
  const fits = (image) =>
    Object.entries(wanted).every(([key, value]) => !value || image[key] === value) &&
    (image.certainty === undefined || (image.certainty >= least && image.certainty <= most)) &&
    DECIDED[part("decided").value](store.images[image.id]);
  const numbers = DESK.images.map((_, index) => index).filter((index) => fits(DESK.images[index]));
  const order = SORTS[part("sort").value];
  numbers.sort((a, b) => order(DESK.images[a], DESK.images[b]) || a - b);
  grid.scrollTop = 0;
  show(numbers, 0);
  update();
  grid.focus({ preventScroll: true }); // so that the next key is a decision, not another option
}

function update() {
  const { decided, accepted, rejected, retyped } = counts(), all = DESK.images.length;
  part("bar").value = decided / all;
  part("progress").textContent =
    `${decided} of ${all} decided: ${accepted} accepted, ${rejected} rejected, ${retyped} of another type · ${shown.length} shown`;
  part("warning").textContent = isKept ? "" : "This browser keeps nothing: save review.json before you close the page.";
  remark();
  look();
}

function go(place, open = false) {
  if (open) document.body.classList.add("looking");
  current = Math.max(0, Math.min(place, shown.length - 1));
  toCurrent();
  remark();
  look();
}

function decideCurrent(decision) {
  const image = DESK.images[shown[current]];
  if (!image) return;
  decide(image.id, decision);
  if (decision && current < shown.length - 1) go(current + 1);
  update();
}

function nextUndecided() {
  const later = (place) => !store.images[DESK.images[shown[place]].id];
  const order = shown.map((_, index) => (current + 1 + index) % shown.length);
  const place = order.find(later);
  if (place !== undefined) go(place);
}

// A question with numbered choices, and maybe words of one's own.
let answered = null;

function question(text, choices, own, then) {
  answered = then;
  part("question").textContent = text;
  part("choices").replaceChildren(
    ...choices.map((choice, index) => {
      const button = document.createElement("button"), key = document.createElement("kbd");
      button.type = "button";
      key.textContent = index + 1;
      button.append(key, ` ${choice}`);
      button.onclick = () => reply(choice);
      return button;
    }),
  );
  part("own").hidden = !own;
  part("words").value = "";
  part("ask").hidden = false;
  (own ? part("words") : part("choices").firstChild || part("cancel")).focus();
}

function reply(text) {
  const then = answered;
  part("ask").hidden = true;
  answered = null;
  grid.focus({ preventScroll: true });
  if (text !== null) then(text);
}

function keyInQuestion(event) {
  const choice = part("choices").children[Number(event.key) - 1];
  if (event.key === "Escape") reply(null);
  else if (choice && part("words").value === "") choice.click();
  else return;
  event.preventDefault();
}

function retype() {
  const image = DESK.images[shown[current]];
  const others = typesOf(image.category).filter((type) => type !== image.type);
  if (!others.length) {
    part("warning").textContent = `${image.category} has one defect type only.`;
    return;
  }
  question(`Which type is it? It was made as ${image.type}.`, others, false, (type) =>
    decideCurrent({ verdict: "accepted", reason: "", type }));
}

const ACTIONS = {
  a: () => decideCurrent({ verdict: "accepted", reason: "" }),
  r: () => question("Why?", REASONS, true, (reason) => decideCurrent({ verdict: "rejected", reason })),
  t: retype,
  c: () => decideCurrent(undefined),
  u: () => {
    const id = undo(), place = id === undefined ? -1 : shown.indexOf(BY_ID.get(id));
    if (place >= 0) go(place);
    update();
  },
  n: nextUndecided,
  o: () => document.body.classList.toggle("plain"),
  b: () => document.body.classList.toggle("was"),
  s: () => part("save").click(),
  "?": () => part("keys").showModal(),
  ArrowLeft: () => go(current - 1),
  ArrowRight: () => go(current + 1),
  ArrowUp: () => go(current - across < 0 ? current : current - across),
  ArrowDown: () => go(current + across),
  Home: () => go(0),
  End: () => go(shown.length - 1),
  Enter: () => document.body.classList.add("looking"),
  Escape: () => document.body.classList.remove("looking"),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || part("keys").open) return;
  if (!blind.hidden) return keyInTest(event);
  if (!part("ask").hidden) return keyInQuestion(event);
  if (event.target.closest("input, select")) return;
  if (event.key === "Enter" && event.target.closest("button")) return;
  const action = ACTIONS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action || (!shown.length && !["s", "?", "u"].includes(event.key))) return;
  event.preventDefault();
  action();
});

part("act").onclick = (event) => {
  const button = event.target.closest("[data-key]");
  if (button) ACTIONS[button.dataset.key]();
};
part("ask").onsubmit = (event) => { event.preventDefault(); reply(part("words").value.trim()); };
part("cancel").onclick = () => reply(null);
part("close").onclick = ACTIONS.Escape;
part("help").onclick = ACTIONS["?"];
part("save").onclick = () => download("review.json", asReview());
part("open").onclick = () => part("file").click();
part("file").onchange = async () => {
  let told = null;
  try { told = JSON.parse(await part("file").files[0].text()); } catch { /* whyNot says it */ }
  part("file").value = "";
  const reason = whyNot(told);
  if (!reason) {
    Object.assign(store.images, told.images);
    store.reviewer = part("reviewer").value = store.reviewer || told.reviewer;
    keep();
  }
  update();
  part("warning").textContent = reason;
};
part("reviewer").oninput = () => { store.reviewer = part("reviewer").value.trim(); keep(); };
part("category").onchange = () => { offer("type", typesOf(part("category").value)); filter(); };
for (const id of ["type", "engine", "verdict", "decided", "least", "most", "sort"]) part(id).onchange = filter;
addEventListener("storage", (event) => { if (event.key === KEY) { restore(); update(); } });

restore();
part("set").textContent = `${valuesOf("category").join(", ")} · ${DESK.version} · set ${DESK.set}`;
part("reviewer").value = store.reviewer;
for (const key of ["category", "type", "engine", "verdict"]) offer(key, valuesOf(key));
fill(part("decided"), Object.keys(DECIDED).map((name) => [name, name || "all"]));
fill(part("sort"), Object.keys(SORTS).map((name) => [name, name]));
filter();
