"use strict";
// The large view: the whole image, the crop, what it was made from, and what is known of it.

const panel = document.getElementById("panel");
const number = (value, digits) => (value === undefined ? "–" : value.toFixed(digits));

// A figure of a scene: `file` lies at `at`, the view is `box`, all in the picture's own pixels.
function figure(caption, scene, file, at, box, more = []) {
  const holder = document.createElement("figure"), svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", box.join(" "));
  svg.append(pictureOf(file, at), ...more, outlineOf(scene));
  const text = document.createElement("figcaption");
  text.textContent = caption;
  holder.append(svg, text);
  return holder;
}

function pictureOf(file, [x, y, width, height], kind = "") {
  const picture = document.createElementNS(SVG, "image");
  for (const [key, value] of Object.entries({ href: file, x, y, width, height, class: kind, preserveAspectRatio: "none" }))
    picture.setAttribute(key, value);
  return picture;
}

function look() {
  const image = DESK.images[shown[current]];
  panel.hidden = !image;
  if (!image) return;
  const whole = [0, 0, ...image.size], name = encodeURIComponent(image.id);
  const file = `images/${name}.jpg`;
  const crop = image.large ? [`crops/${name}.jpg`, image.box] : [file, whole];
  const earlier = image.before ? [pictureOf(`before/${name}.jpg`, image.box, "before")] : [];
  const frame = document.createElementNS(SVG, "rect");
  const [x, y, width, height] = image.box;
  for (const [key, value] of Object.entries({ x, y, width, height, class: "box" })) frame.setAttribute(key, value);
  const copies = earlier.map((picture) => picture.cloneNode());
  document.getElementById("views").replaceChildren(
    figure(`${width} × ${height} px around the defect`, image, ...crop, image.box, earlier),
    figure(`the whole image, ${image.size.join(" × ")} px`, image, file, whole, whole, [...copies, frame]),
  );
  document.getElementById("sources").replaceChildren(
    ...image.real.map((index, place) => {
      const real = DESK.real[index];
      const role = place ? "parent of the mask" : "reference: its look is of this real one";
      return figure(`${role}, ${real.id}`, real, `real/${index}.jpg`, real.box, real.box);
    }),
  );
  facts(image);
  tell(image);
}

function facts(image) {
  const told = {
    image: image.id, category: image.category, "made as": image.type, engine: image.engine,
    certificate: [image.verdict, image.reason].filter(Boolean).join(": "),
    certainty: number(image.certainty, 3), contrast: number(image.contrast, 3),
    "defect, px": number(image.mask_pixels, 0), attempts: number(image.attempts, 0), background: image.background,
  };
  document.getElementById("facts").replaceChildren(
    ...Object.entries(told).flatMap(([key, value]) => {
      const term = document.createElement("dt"), text = document.createElement("dd");
      term.textContent = key;
      text.textContent = value;
      return [term, text];
    }),
  );
}

function tell(image) {
  const decision = store.images[image.id], line = document.getElementById("decision");
  line.className = decision ? decision.verdict : "quiet";
  const place = `${current + 1} of ${shown.length}, ${image.type}: `;
  const retyped = decision && decision.type ? ` as ${decision.type}` : "";
  const reason = decision && decision.reason ? `, ${decision.reason}` : "";
  line.textContent = place + (decision ? decision.verdict + retyped + reason : "not decided");
}
