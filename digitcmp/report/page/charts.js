
"use strict";
const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 300, ROW = 34, NAMED = 48, LEFT = 50, RIGHT = 14, TOP = 10, BOTTOM = 38;  // pixels; NAMED: a row with its name above it
const LETTER = 6.8, BESIDE = 0.36;  // pixels of a letter of a name; the share of a chart's width that names have beside their rows
const COLOURS = 7, DASHES = ["", "7 4", "7 3 2 3", "2 3", "7 3 2 2 2 2", "12 4", "5 2 1 2"];  // as the static figures have them
const TOLD = 10, NEAR = 14;  // lines of a tip; pixels from the pointer to a point that it is about
const TOGETHER = 6;  // so many bands are told apart; of more, that of the configuration whose name the pointer is at is shown
const GOLDEN = (Math.sqrt(5) - 1) / 2;

function make(kind, attributes = {}, ...inside) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}

function shape(kind, attributes = {}, ...inside) {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}

const colour = (of) => `c${of % COLOURS}`;
const dash = (of) => DASHES[(of + Math.floor(of / COLOURS)) % DASHES.length];
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

function ticks(low, high, most) {
  const rough = (high - low || 1) / most, size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * size).find((one) => one >= rough * 0.999);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at++) found.push(Number((at * step).toPrecision(12)));
  return found;
}

// a value as people read it; sign: differences always have one
function shown(value, unit, sign = false, decimals = data.metric.decimals) {
  const text = Number.isFinite(value) ? Math.abs(value).toFixed(decimals) : "∞";
  return `${value < 0 ? (Number(text) === 0 ? "" : "−") : sign ? "+" : ""}${text}${unit ? ` ${unit}` : ""}`;
}

// axes of a chart: what turns values into pixels, and their lines and numbers
function axes(width, height, across, up, labels) {
  const left = labels.left ?? LEFT;
  const x = (value) => left + (value - across[0]) / (across[1] - across[0] || 1) * (width - left - RIGHT);
  const y = (value) => height - BOTTOM - (value - up[0]) / (up[1] - up[0] || 1) * (height - TOP - BOTTOM);
  const drawn = shape("g");
  for (const value of ticks(...across, width / (labels.apart ?? 80))) {
    if (labels.whole && value % 1) continue;
    drawn.append(shape("line", {class: "grid", x1: x(value), x2: x(value), y1: TOP, y2: height - BOTTOM}));
    drawn.append(shape("text", {x: x(value), y: height - BOTTOM + 15, "text-anchor": "middle"}, labels.across(value)));
  }
  for (const value of labels.up ? ticks(...up, 6) : []) {
    drawn.append(shape("line", {class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value)}));
    drawn.append(shape("text", {x: LEFT - 6, y: y(value) + 4, "text-anchor": "end"}, labels.up(value)));
  }
  drawn.append(shape("text", {x: (left + width - RIGHT) / 2, y: height - 6, "text-anchor": "middle"}, labels.title));
  return {x, y, drawn};
}

const brief = (value) => String(Number(value.toPrecision(6))).replace("-", "−");
const withUnit = (value) => `${brief(value)}${data.metric.unit ? ` ${data.metric.unit}` : ""}`;

function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
  return low <= high ? [low, high] : [0, 1];
}

// the ends of an axis that holds all these values, with room beyond them, within what is possible
function range(values, limits = [-Infinity, Infinity]) {
  const [low, high] = extent(values), room = (high - low || Math.abs(high) || 1) * 0.05;
  return [Math.max(low - room, limits[0]), Math.min(high + room, limits[1])];
}

const limits = () => data.metric.limits.map(Number);

// a line per configuration with a band or with bars, which answers to the pointer and can be looked at more closely
function lineChart(box, width, name, lines, look) {
  const places = [...new Set(lines.flatMap((line) => line.x))].sort((one, other) => one - other), whole = extent(places);
  const across = kept.zoom[name] && kept.zoom[name][0] < whole[1] ? kept.zoom[name] : look.bars ? [whole[0] - 0.4, whole[1] + 0.4] : whole;
  const within = places.filter((one) => one >= across[0] && one <= across[1]), seen = (line, at) => line.x[at] >= across[0] && line.x[at] <= across[1];
  const values = lines.flatMap((line) => [line.y, line.low, line.high].flatMap((side) => side.filter((one, at) => one !== null && seen(line, at))));
  const {x, y, drawn} = axes(width, HEIGHT, across, range(values, limits()), {title: look.title, whole: true, across: brief, up: withUnit, apart: look.bars ? 24 : 80});
  const plot = shape("g", {"clip-path": `url(#inside-${name})`, class: lines.length > TOGETHER ? "many" : "few"}, ...(look.chance ? chanceLine(y, width) : []), ...lines.map((line) => trace(line, x, y, look.bars)));
  const inside = shape("clipPath", {id: `inside-${name}`}, shape("rect", {x: LEFT, y: TOP - 4, width: width - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM + 8}));
  const picture = shape("svg", {width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": look.told}, inside, drawn, plot);
  const at = (event) => {
    const left = event.clientX - picture.getBoundingClientRect().left;
    return across[0] + (clamp(left, LEFT, width - RIGHT) - LEFT) / (width - LEFT - RIGHT) * (across[1] - across[0]);
  };
  if (within.length) answer(box, picture, lines, within, x, y, at, look);
  if (!look.bars) select(picture, name, x, at);
  return picture;
}

function chanceLine(y, width) {
  const level = data.metric.chance;
  if (level === null || y(level) < TOP || y(level) > HEIGHT - BOTTOM) return [];
  const text = shape("text", {x: width - RIGHT - 2, y: y(level) - 4, "text-anchor": "end"}, `chance ${level.toFixed(1)} ${data.metric.unit}`);
  return [shape("line", {class: "chance", x1: LEFT, x2: width - RIGHT, y1: y(level), y2: y(level)}), text];
}

// one line, with what is around it
function trace(line, x, y, bars) {
  const points = [...line.x.keys()].filter((at) => line.y[at] !== null), around = points.filter((at) => line.low[at] !== null);
  const right = (at) => x(line.x[at] + (line.apart || 0)), up = (value) => y(clamp(value, ...limits()));
  const path = (some, side) => some.map((at) => `${right(at).toFixed(1)},${up(line[side][at]).toFixed(1)}`).join("L");
  const part = shape("g", {class: colour(line.of), "data-of": line.of});
  if (bars) part.append(...around.map((at) => shape("line", {class: "mean", x1: right(at), x2: right(at), y1: up(line.low[at]), y2: up(line.high[at])})));
  else if (around.length > 1) part.append(shape("path", {class: "band", d: `M${path(around, "high")}L${path([...around].reverse(), "low")}Z`}));
  if (points.length) part.append(shape("path", {class: "mean", "stroke-dasharray": dash(line.of), d: `M${path(points, "y")}`}));
  if (bars || points.length === 1) part.append(...points.map((at) => shape("circle", {class: "at", cx: right(at), cy: up(line.y[at]), r: 3})));
  return part;
}

// what all lines have where the pointer is
function answer(box, picture, lines, places, x, y, at, look) {
  const rule = shape("line", {class: "rule", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden"}), marks = shape("g");
  picture.append(rule, marks);
  picture.addEventListener("pointermove", (event) => {
    const wanted = at(event), nearest = places.reduce((best, one) => Math.abs(one - wanted) < Math.abs(best - wanted) ? one : best);
    const found = lines.map((line) => [line, line.x.indexOf(nearest)]).filter(([line, index]) => index >= 0 && line.y[index] !== null);
    found.sort(([one, first], [other, second]) => other.y[second] - one.y[first]);
    for (const [attribute, value] of [["x1", x(nearest)], ["x2", x(nearest)], ["visibility", "visible"]]) rule.setAttribute(attribute, value);
    marks.replaceChildren(...found.map(([line, index]) => shape("circle", {class: `at ${colour(line.of)}`, cx: x(nearest + (line.apart || 0)), cy: y(line.y[index]), r: 3.5})));
    tell(box, event, `${look.across} ${brief(nearest)}`, found.map(([line, index]) => [line.of, `${shown(line.y[index], data.metric.unit)}${look.spread(line, index)}`]));
  });
  picture.addEventListener("pointerleave", () => { rule.setAttribute("visibility", "hidden"); marks.replaceChildren(); hush(box); });
}

// what is dragged over fills the figure from then on; with a finger, the page is scrolled
function select(picture, name, x, at) {
  const chosen = shape("rect", {class: "selection", y: TOP, height: HEIGHT - TOP - BOTTOM, width: 0});
  let from = null;
  picture.append(chosen);
  picture.addEventListener("pointerdown", (event) => { if (event.pointerType !== "touch") { from = at(event); picture.setPointerCapture(event.pointerId); } });
  picture.addEventListener("pointermove", (event) => {
    if (from === null) return;
    chosen.setAttribute("x", Math.min(x(from), x(at(event))));
    chosen.setAttribute("width", Math.abs(x(at(event)) - x(from)));
  });
  picture.addEventListener("pointerup", (event) => {
    const ends = from === null ? null : [from, at(event)].sort((one, other) => one - other);
    from = null;
    chosen.setAttribute("width", 0);
    if (ends && ends[1] - ends[0] >= 1) { kept.zoom[name] = ends; draw(); }
  });
  picture.addEventListener("dblclick", () => { delete kept.zoom[name]; draw(); });
}

// a row per configuration: its rounds as points, and on them a box or a bar; its name beside it, or above where there is no room
function rowChart(box, width, rows, look) {
  const labels = rows.map((row) => data.configurations[row.of].label), longest = LETTER * Math.max(...labels.map((label) => label.length));
  const beside = longest <= BESIDE * width, left = beside ? Math.max(LEFT, longest + 16) : 24, tall = beside ? ROW : NAMED;
  const height = TOP + tall * rows.length + BOTTOM, values = rows.flatMap((row) => [...row.dots.map(([, value]) => value), ...row.ends]);
  const [low, high] = range([...values, ...(look.zero ? [0] : [])], look.limits), room = (high - low) * 0.06;  // for what is infinite, at the edge
  const ends = [values.includes(-Infinity) ? low - room : low, values.includes(Infinity) ? high + room : high];
  const {x: within, drawn} = axes(width, height, ends, [0, 1], {title: look.title, across: look.tick, left}), x = (value) => within(clamp(value, ...ends));
  const upright = (value, kind) => shape("line", {class: kind, x1: x(value), x2: x(value), y1: TOP, y2: height - BOTTOM});
  const chance = look.zero ? null : data.metric.chance;
  if (look.zero) drawn.append(upright(0, "axis"));
  if (chance !== null && chance > low && chance < high) drawn.append(upright(chance, "chance"), shape("text", {x: x(chance) + 3, y: height - BOTTOM - 4}, `chance ${chance.toFixed(1)} ${data.metric.unit}`));
  const picture = shape("svg", {width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": look.told}, drawn), points = [], marks = shape("g");
  rows.forEach((row, index) => {
    const top = TOP + tall * index, middle = top + tall - 17, label = labels[index], letters = Math.floor((width - RIGHT) / LETTER);
    const dots = row.dots.map(([seed, value], at) => ({seed, value, of: row.of, x: x(value), y: middle + 20 * ((at + 1) * GOLDEN % 1 - 0.5)}));
    if (!beside && index) drawn.append(shape("line", {class: "grid", x1: 0, x2: width, y1: top, y2: top}));
    const place = beside ? {x: left - 10, y: middle + 4, "text-anchor": "end"} : {x: 8, y: top + 13};
    const text = shape("text", {class: "row", ...place}, label.length > letters ? `${label.slice(0, letters - 1)}…` : label);
    const spots = shape("path", {class: "dots", "stroke-width": dots.length > 200 ? 3 : 5, d: dots.map((dot) => `M${dot.x.toFixed(1)},${dot.y.toFixed(1)}h0`).join("")});
    picture.append(shape("g", {class: colour(row.of), "data-of": row.of}, text, spots, ...row.over(x, middle)));
    points.push(...dots);
  });
  picture.append(marks);
  picture.mark = (seed) => marks.replaceChildren(...points.filter((dot) => dot.seed === seed).map((dot) => shape("circle", {class: "seed", cx: dot.x, cy: dot.y, r: 5})));
  point(box, picture, points, look);
  return picture;
}

// the round that the pointer is at, here and in every other row; a click keeps it
function point(box, picture, points, look) {
  const nearest = (event) => {
    const edge = picture.getBoundingClientRect(), far = (dot) => Math.hypot(dot.x - event.clientX + edge.left, dot.y - event.clientY + edge.top);
    const best = points.reduce((one, dot) => far(dot) < far(one) ? dot : one, points[0]);
    return best && far(best) < NEAR ? best : null;
  };
  picture.addEventListener("pointermove", (event) => {
    const dot = nearest(event);
    markSeed(dot ? dot.seed : kept.seed);
    if (dot) tell(box, event, `seed ${dot.seed}`, [[dot.of, shown(dot.value, look.unit, look.zero)]]); else hush(box);
  });
  picture.addEventListener("pointerleave", () => { markSeed(kept.seed); hush(box); });
  picture.addEventListener("click", (event) => { const dot = nearest(event); kept.seed = dot && dot.seed !== kept.seed ? dot.seed : null; markSeed(kept.seed); });
}

// the same round in every row
function markSeed(seed) {
  for (const picture of document.querySelectorAll(".chart svg")) if (picture.mark) picture.mark(seed);
}

// a small box beside the pointer: a title, and lines of configurations with their values
function tell(box, event, title, lines) {
  const tip = box.tip || (box.tip = box.appendChild(make("div", {class: "tip"}))), edge = box.getBoundingClientRect();
  const texts = lines.slice(0, TOLD).map(([of, text]) => make("div", {class: colour(of)}, make("b", {}, "● "), `${data.configurations[of].label}: ${text}`));
  tip.replaceChildren(make("div", {}, title), ...texts, ...(lines.length > TOLD ? [`and ${lines.length - TOLD} more`] : []));
  tip.hidden = false;
  const left = event.clientX - edge.left, top = event.clientY - edge.top;
  tip.style.left = `${left > edge.width / 2 ? Math.max(0, left - tip.offsetWidth - 14) : left + 14}px`;
  tip.style.top = `${clamp(top + 14, 0, Math.max(0, edge.height - tip.offsetHeight))}px`;
}

function hush(box) { if (box.tip) box.tip.hidden = true; }
