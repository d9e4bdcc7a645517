"use strict";
// What was decided: kept in this browser under the fingerprint of the pictures, saved as a file.

const KEY = `defectsynth-review:${DESK.pictures}`;
const BY_ID = new Map(DESK.images.map((image, number) => [image.id, number]));
const store = { reviewer: "", images: {} };
const past = []; // [id, what was decided before]
let isKept = true;

function restore() {
  try {
    const told = JSON.parse(localStorage.getItem(KEY) || "{}");
    store.reviewer = String(told.reviewer || "");
    store.images = told.images || {};
  } catch {
    isKept = false;
  }
}

function keep() {
  try {
    localStorage.setItem(KEY, JSON.stringify(store));
    isKept = true;
  } catch {
    isKept = false; // private window, or no room: the page says so
  }
}

function decide(id, decision) {
  past.push([id, store.images[id]]);
  put(id, decision && { ...decision, time: new Date().toISOString() });
}

function undo() {
  const last = past.pop();
  if (last) put(...last);
  return last && last[0];
}

function put(id, decision) {
  if (decision) store.images[id] = decision;
  else delete store.images[id];
  keep();
}

function counts() {
  const told = { decided: 0, accepted: 0, rejected: 0, retyped: 0 };
  for (const [id, decision] of Object.entries(store.images)) {
    if (!BY_ID.has(id)) continue;
    told.decided += 1;
    told[decision.verdict] += 1;
    if (decision.type) told.retyped += 1;
  }
  return told;
}

function asReview() {
  const { format, set, pictures, version } = DESK;
  const saved = new Date().toISOString();
  return { format, set, pictures, version, reviewer: store.reviewer, saved, images: store.images };
}

// Why a review that was opened is none of this set; "" if it is one.
function whyNot(told) {
  if (!told || told.format !== DESK.format || typeof told.images !== "object") return "this is no review.json";
  if (told.set !== DESK.set) return `this is a review of another set, ${told.set}`;
  if (told.pictures !== DESK.pictures) return "this is a review of other pictures";
  return "";
}

function download(name, told) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(told, null, 1)], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
