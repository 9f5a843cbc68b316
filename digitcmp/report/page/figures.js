
// which configurations the figures show, and what they draw of them
const MOST = 24;  // configurations in a figure, as the static ones have
const BANDS = {deviation: "mean ± standard deviation", quartiles: "median and quartiles"};

// a button for each configuration: in the figures or not
function legend() {
  const whole = data.configurations.map((one, of) => [one, of]).filter(([one]) => one.wanted), wanted = whole.slice(0, MOST);
  for (const one of data.configurations) one.listed = wanted.some(([other]) => other === one);
  const made = make("div", {class: "legend", role: "group", "aria-label": "configurations in the figures"}, ...wanted.map(([one, of]) => entry(one, of)));
  const change = (act) => { act(); pressed(); draw(); }, pressed = () => all("button", made).forEach((button, at) => button.setAttribute("aria-pressed", String(!kept.hidden.has(wanted[at][0].hash))));
  all("button", made).forEach((button, at) => {
    const {hash} = wanted[at][0], others = wanted.map(([one]) => one.hash).filter((one) => one !== hash);
    button.addEventListener("click", () => change(() => { if (!kept.hidden.delete(hash)) kept.hidden.add(hash); }));
    button.addEventListener("dblclick", () => change(() => { kept.hidden = new Set(others.every((one) => kept.hidden.has(one)) ? [] : others); }));
  });
  pressed();
  if (whole.length > MOST) made.append(make("span", {class: "soft"}, `and ${whole.length - MOST} more: filter what is shown, above`));
  const box = document.querySelector(".figures"), before = box.querySelector(".legend");
  if (before) before.replaceWith(made); else box.prepend(made);
}

function entry(one, of) {
  const line = shape("line", {class: `swatch ${colour(of)}`, x1: 0, x2: 26, y1: 5, y2: 5, "stroke-dasharray": dash(of)});
  const swatch = shape("svg", {width: 26, height: 10, "aria-hidden": "true"}, line);
  const button = make("button", {type: "button", title: "click: in the figures or not; double click: alone, or all"}, swatch, one.label);
  const single = (alone) => () => {
    for (const part of all(".chart g[data-of]")) {
      part.classList.toggle("faint", alone && Number(part.dataset.of) !== of);
      part.classList.toggle("alone", alone && Number(part.dataset.of) === of);
    }
  };
  for (const [event, alone] of [["pointerenter", true], ["focus", true], ["pointerleave", false], ["blur", false]]) button.addEventListener(event, single(alone));
  return button;
}

const drawings = {
  curves(box, width, told) {
    const quartiles = kept.band === "quartiles";
    const spread = (line, at) => line.low[at] === null ? "" : quartiles ? ` (${shown(line.low[at], "")} to ${shown(line.high[at], "")})` : ` ± ${shown((line.high[at] - line.low[at]) / 2, "")}`;
    const lines = visible(data.curves).map((one) => quartiles ? {of: one.of, x: one.x, y: one.median, low: one.q1, high: one.q3}
      : {of: one.of, x: one.x, y: one.mean, low: sums(one, -1), high: sums(one, 1)});
    return lineChart(box, width, "curves", lines, {title: "epoch (drag: look closer; double click: all)", across: "epoch", told, spread, chance: true});
  },
  distances(box, width, told) {
    const spread = (line, at) => line.low[at] === null ? "" : ` (${shown(line.low[at], "")} to ${shown(line.high[at], "")})`;
    const found = visible(data.distances);
    // apart, so that bars don't hide each other
    const lines = found.map((one, at) => ({of: one.of, x: one.x, y: one.mean, low: one.low, high: one.high, apart: (at - (found.length - 1) / 2) * 0.06}));
    return lineChart(box, width, "distances", lines, {title: "|first digit − second digit|", across: "distance", told, spread, bars: true});
  },
  distribution(box, width, told) {
    const boxes = new Map(data.boxes.map((one) => [one.of, one])), rows = visible(data.rounds).filter((one) => boxes.has(one.of)).map((one) => {
      const {q1, median, q3, low, high} = boxes.get(one.of);
      const over = (x, middle) => [
        shape("path", {class: "whisker", d: `M${x(low)},${middle}H${x(q1)}M${x(q3)},${middle}H${x(high)}M${x(q1)},${middle - 9}H${x(q3)}V${middle + 9}H${x(q1)}Z`}),
        shape("path", {class: "middle", d: `M${x(median)},${middle - 9}V${middle + 9}`}),
      ];
      return {of: one.of, dots: one.seeds.map((seed, at) => [seed, one.values[at]]), ends: [low, high], over};
    });
    return rowChart(box, width, rows, {title: data.metric.title, told, tick: withUnit, unit: data.metric.unit, limits: limits()});
  },
  differences(box, width, told) {
    const values = new Map(data.rounds.map((one) => [one.of, new Map([...one.seeds.map((seed, at) => [seed, one.values[at]]), ...one.failed.map((seed) => [seed, Number(data.metric.worst)])])]));
    const there = values.get(data.baseline) || new Map(), unit = data.metric.points;
    const rows = visible(data.differences).map((one) => {
      const [low, middle, high] = ["difference_low", "difference", "difference_high"].map((name) => one[name] === null ? null : Number(one[name]));
      const pairs = [...(values.get(one.of) || [])].filter(([seed]) => there.has(seed));
      const dots = pairs.map(([seed, value]) => [seed, value === there.get(seed) ? 0 : value - there.get(seed)]);
      const over = (x, level) => [
        ...(low === null ? [] : [shape("path", {class: "bar", d: `M${x(low)},${level}H${x(high)}`})]),
        shape("circle", {class: `mark${one.sure ? " sure" : ""}`, cx: x(middle), cy: level, r: 5}, shape("title", {}, `${shown(middle, unit, true)}${low === null ? "" : ` (${shown(low, "", true)} to ${shown(high, "", true)})`}`)),
      ];
      return {of: one.of, dots, ends: [low, middle, high].filter((end) => end !== null), over};
    });
    const title = `difference to ${data.configurations[data.baseline].label}${unit ? ` [${unit}]` : ""}`;
    return rowChart(box, width, rows, {title, told, tick: (value) => value > 0 ? `+${brief(value)}` : brief(value), unit, zero: true});
  },
};

const sums = (one, sign) => one.mean.map((mean, at) => mean === null || one.std[at] === null ? null : mean + sign * one.std[at]);
const visible = (found) => found.filter((one) => data.configurations[one.of].listed && !kept.hidden.has(data.configurations[one.of].hash));

// all figures anew, as wide as there is room
function draw() {
  for (const figure of all("figure[data-chart]")) {
    const name = figure.dataset.chart, told = figure.querySelector("figcaption").textContent;
    const box = figure.querySelector(".chart") || make("div", {class: "chart"}), chosen = box.contains(document.activeElement);
    if (!box.parentNode) figure.prepend(box);
    figure.classList.add("drawn");
    box.tip = null;
    const tools = name === "curves" ? curveTools() : make("div", {class: "tools"});
    box.replaceChildren(tools, drawings[name](box, box.clientWidth, told));
    if (chosen) tools.querySelector("select").focus();
  }
  markSeed(kept.seed);
}

// what can be chosen about the curves
function curveTools() {
  const select = make("select", {"aria-label": "what is drawn"}, ...Object.entries(BANDS).map(([value, text]) => make("option", {value}, text)));
  select.value = kept.band;
  select.addEventListener("change", () => { kept.band = select.value; draw(); });
  const reset = make("button", {type: "button"}, "all epochs");
  reset.addEventListener("click", () => { delete kept.zoom.curves; draw(); });
  return make("div", {class: "tools"}, ...(kept.zoom.curves ? [reset] : []), select);
}
