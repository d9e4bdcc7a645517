"use strict";
// The tiles: only those in sight exist, so that ten thousand images scroll as ten do.

const WANTED = 120; // px, width of a tile at least
const SVG = "http://www.w3.org/2000/svg";
const grid = document.getElementById("grid");
const space = document.getElementById("space");
const tiles = new Map(); // place in `shown` -> its element
let shown = []; // numbers of the images that the filters leave, in order
let current = 0; // place in `shown`
let across = 1, side = WANTED;

function show(numbers, place) {
  shown = numbers;
  current = Math.max(0, Math.min(place, shown.length - 1));
  tiles.forEach((tile) => tile.remove());
  tiles.clear();
  fit();
}

function fit() {
  const width = grid.clientWidth;
  across = Math.max(2, Math.floor(width / WANTED));
  side = width / across;
  space.style.height = `${Math.ceil(shown.length / across) * side}px`;
  tiles.forEach(position);
  draw();
}

function draw() {
  const first = Math.max(0, Math.floor(grid.scrollTop / side) - 1) * across;
  const last = Math.min(shown.length, (Math.ceil((grid.scrollTop + grid.clientHeight) / side) + 1) * across);
  for (const [place, tile] of tiles) {
    if (place >= first && place < last) continue;
    tile.remove();
    tiles.delete(place);
  }
  for (let place = first; place < last; place += 1) {
    if (tiles.has(place)) continue;
    const tile = made(place);
    tiles.set(place, tile);
    position(tile, place);
    space.append(tile);
  }
}

function made(place) {
  const number = shown[place], image = DESK.images[number];
  const tile = document.createElement("button");
  tile.tabIndex = -1;
  tile.className = "tile";
  tile.title = image.id;
  const { across: columns } = DESK.sheet;
  const spot = number % columns ** 2;
  const picture = document.createElement("i");
  picture.style.backgroundImage = `url(tiles/${Math.floor(number / columns ** 2)}.jpg)`;
  picture.style.backgroundSize = `${columns * 100}%`;
  const percent = (index) => `${(index * 100) / (columns - 1)}%`;
  picture.style.backgroundPosition = `${percent(spot % columns)} ${percent(Math.floor(spot / columns))}`;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", image.box.join(" "));
  svg.append(outlineOf(image));
  tile.append(picture, svg, document.createElement("span"), document.createElement("em"));
  tile.onclick = () => go(place, true);
  mark(tile, place);
  return tile;
}

function outlineOf(scene) {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", scene.path);
  return path;
}

function position(tile, place) {
  tile.style.width = tile.style.height = `${side}px`;
  tile.style.left = `${(place % across) * side}px`;
  tile.style.top = `${Math.floor(place / across) * side}px`;
}

// What is decided, and whether it is the current one.
function mark(tile, place) {
  const image = DESK.images[shown[place]], decision = store.images[image.id];
  const [label, sign] = tile.querySelectorAll("span, em");
  tile.className = `tile ${decision ? decision.verdict : ""} ${place === current ? "current" : ""}`;
  label.textContent = decision && decision.type ? `→ ${decision.type}` : image.type;
  sign.textContent = decision ? { accepted: "✓", rejected: "✗" }[decision.verdict] : "?";
  sign.hidden = !decision && image.verdict !== "rejected";
  sign.title = decision ? decision.verdict : "rejected by the certificate";
}

function remark() {
  tiles.forEach(mark);
}

function toCurrent() {
  const top = Math.floor(current / across) * side;
  if (top < grid.scrollTop) grid.scrollTop = top;
  if (top + side > grid.scrollTop + grid.clientHeight) grid.scrollTop = top + side - grid.clientHeight;
  draw();
}

grid.addEventListener("scroll", draw, { passive: true });
new ResizeObserver(fit).observe(grid);
