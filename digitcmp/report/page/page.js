
// what a reader has chosen, which stays when the page renews itself; configurations by their hashes
const kept = {sort: {}, hidden: new Set(), zoom: {}, band: "deviation", seed: null};
const EVERY = 2000;  // milliseconds from one question whether something has changed to the next
const NONE = "–";
let data = null;
const find = (id) => document.getElementById(id);
const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];

// everything that stands in `main`; again when that has been renewed
function start() {
  data = find("data") && JSON.parse(find("data").textContent);
  find("bar").hidden = !data;
  colours(find("theme").value);
  if (data) {
    for (const one of data.configurations) one.words = [one.label, one.hash, ...Object.entries(one.values).map((pair) => pair.join("="))].join(" ").toLowerCase();
    all("table[id]").filter((table) => table.tHead).forEach(prepare);
    all('tr[data-of]:not([data-of=""]) .name').forEach((cell) => {
      const of = cell.parentNode.dataset.of, name = make("button", {type: "button", title: "its configuration"}, ...cell.childNodes);
      name.addEventListener("click", () => about(Number(of)));
      cell.append(name);
    });
    filter();
  }
  performance.mark("sortable");
}

// headings that sort: numbers from the highest, texts from the first, then the other way round, then as it was
function prepare(table) {
  const rows = [...table.tBodies[0].rows];
  const sort = () => {
    const [title, order] = kept.sort[table.id] || [], heads = [...table.tHead.rows[0].cells];
    const column = heads.findIndex((head) => head.textContent === title);
    heads.forEach((head, at) => at === column ? head.setAttribute("aria-sort", order < 0 ? "descending" : "ascending") : head.removeAttribute("aria-sort"));
    table.tBodies[0].append(...(column < 0 ? rows : ordered(rows, column, order)));
  };
  for (const head of table.tHead.rows[0].cells) {
    const title = head.textContent, button = make("button", {type: "button"}, title);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const [last, order] = kept.sort[table.id] || [], first = rows.some((row) => "value" in row.cells[head.cellIndex].dataset) ? -1 : 1;
      if (last !== title) kept.sort[table.id] = [title, first];
      else if (order === first) kept.sort[table.id] = [title, -first];
      else delete kept.sort[table.id];
      sort();
    });
  }
  sort();
}

function ordered(rows, column, order) {
  const key = (row) => {
    const cell = row.cells[column], text = cell.textContent;
    return "value" in cell.dataset ? Number(cell.dataset.value) : text === NONE || text === "" ? null : text;
  };
  const compare = (one, other) => {
    if (one === null || other === null) return (one === null) - (other === null);  // what has no value is last either way
    if (typeof one === "number" && typeof other === "number") return order * (one === other ? 0 : one < other ? -1 : 1);
    return order * String(one).localeCompare(String(other), undefined, {numeric: true});
  };
  return rows.map((row) => [key(row), row]).sort(([one], [other]) => compare(one, other)).map(([, row]) => row);
}

// rows and figures of the configurations that have all these words in their names and keys; runs have more words
function filter() {
  const words = find("filter").value.toLowerCase().split(/\s+/).filter(Boolean), has = (text) => words.every((word) => text.includes(word));
  for (const one of data.configurations) one.wanted = has(one.words);
  for (const row of all("tr[data-of]")) {
    const one = data.configurations[row.dataset.of], text = row.closest("#runs") || !one ? row.textContent.toLowerCase() : "";
    row.hidden = !has(`${one ? one.words : ""} ${text}`);
  }
  const count = data.configurations.filter((one) => one.wanted).length;
  find("count").textContent = words.length ? `${count} of ${data.configurations.length}` : "";
  legend();
  draw();
}

// a configuration: in what it differs from the baseline, and all of its keys
function about(of) {
  const one = data.configurations[of], base = data.configurations[data.baseline], cells = (kind, texts) => make("tr", {}, ...texts.map((text) => make(kind, {}, text)));
  const keys = [...new Set([...Object.keys(base.values), ...Object.keys(one.values)])].filter((key) => base.values[key] !== one.values[key]);
  const lines = (head, rows) => make("div", {class: "wide"}, make("table", {class: "text"}, make("thead", {}, cells("th", head)), make("tbody", {}, ...rows.map((row) => cells("td", row)))));
  const said = of === data.baseline ? "The others are compared with this one." : `It differs from ${base.label} in ${keys.length} key${keys.length === 1 ? "" : "s"}.`;
  const own = Object.entries({...data.common, ...one.values}).sort(([first], [second]) => first.localeCompare(second));
  find("about-name").textContent = one.label;
  find("about-keys").replaceChildren(
    make("p", {class: "soft"}, `${said} Its hash is ${one.hash}.`),
    ...(keys.length ? [lines(["key", one.label, base.label], keys.sort().map((key) => [key, one.values[key] ?? NONE, base.values[key] ?? NONE]))] : []),
    make("details", keys.length ? {} : {open: ""}, make("summary", {}, `All ${own.length} keys`), lines(["key", "value"], own)),
  );
  find("about").showModal();
}

// what is chosen once stays, where the browser lets pages keep anything
function remembered(value) {
  try {
    if (value === undefined) return localStorage.getItem("digitcmp-theme") || "";
    localStorage.setItem("digitcmp-theme", value);
  } catch { /* it does not */ }
  return value || "";
}

function colours(theme) {
  if (theme) document.documentElement.dataset.theme = theme; else delete document.documentElement.dataset.theme;
  const screens = {"": "screen and (prefers-color-scheme: dark)", light: "not all", dark: "screen"};
  for (const one of all("picture source")) one.media = screens[theme];
}

// a page that is served asks whether there is something new, says how far it is, and takes what is new in place of what it has
async function follow() {
  try {
    const response = await fetch("state"), told = await response.json();
    if (!response.ok) throw new Error(told.error || response.statusText);
    find("progress").replaceChildren(...told.lost.map((text) => make("div", {class: "lost"}, text)), ...told.progress.flatMap(({text, done, total}) => [make("div", {}, text), make("progress", {max: total || 1, value: done, "aria-label": text})]));
    if (told.version !== kept.version) {
      const renewed = new DOMParser().parseFromString(await (await fetch("./")).text(), "text/html");
      const opened = all("details[id]").map((one) => [one.id, one.open]), top = scrollY;
      document.title = renewed.title;
      document.querySelector("main").replaceWith(document.adoptNode(renewed.querySelector("main")));
      for (const [id, open] of opened) if (find(id)) find(id).open = open;
      kept.version = told.version;
      start();
      scrollTo(0, top);
    }
  } catch (error) {
    find("progress").replaceChildren(`This page does not renew itself: ${error.message}`);
  }
  setTimeout(follow, EVERY);
}

colours(remembered());  // at once, before anything is shown
document.addEventListener("DOMContentLoaded", () => {
  const theme = find("theme");
  theme.value = remembered();
  theme.addEventListener("change", () => colours(remembered(theme.value)));
  find("filter").addEventListener("input", filter);
  find("close").addEventListener("click", () => find("about").close());
  let width = innerWidth;
  addEventListener("resize", () => { if (data && innerWidth !== width) { width = innerWidth; draw(); } });
  start();
  kept.version = Number(document.body.dataset.version);
  if (find("progress")) follow();
});
