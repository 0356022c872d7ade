"use strict";
// The page is complete without this script. It filters the matrix, moves the focus through it, and
// opens the panel of a cell. All of its state stands in the address behind the #, so that a link
// shows somebody else the same.

const find = (selector) => document.querySelector(selector);
const matrix = find("#matrix");
const panel = find("#panel");
const filters = find("#filters");
const heads = [...matrix.tHead.rows[0].cells].slice(1);
const rows = [...matrix.tBodies[0].rows].map((row) => ({
  row,
  client: row.cells[0].textContent,
  cells: [...row.cells].slice(1),
}));
const brokers = heads.map((head) => head.textContent);
const keys = ["client", "broker", "verdict", "cause"];

// The address: #client=...&verdict=...&cell=...

function address() {
  const state = {};
  for (const part of location.hash.slice(1).split("&")) {
    const at = part.indexOf("=");
    if (at > 0) {
      try {
        state[part.slice(0, at)] = decodeURIComponent(part.slice(at + 1));
      } catch {
        // A damaged escape: that part of the address says nothing.
      }
    }
  }
  return state;
}

function hash(state) {
  // Names are made of letters, digits and -_.+/ and need no escapes; what is typed may.
  const escape = (text) => encodeURIComponent(text).replaceAll("%2F", "/").replaceAll("%2B", "+");
  const parts = [...keys, "cell"].filter((key) => state[key]);
  return "#" + parts.map((key) => `${key}=${escape(state[key])}`).join("&");
}

function replace(state) {
  history.replaceState(null, "", hash(state));
}

// Filters

/** Whether a name passes what was typed, as `rig run --filter` has it: all words, none behind !. */
function passes(name, typed) {
  return (typed || "").split(/\s+/).filter(Boolean).every((word) =>
    word.startsWith("!") ? !name.includes(word.slice(1)) : name.includes(word));
}

function show(state) {
  const active = keys.some((key) => state[key]);
  const columns = brokers.map((broker) => passes(broker, state.broker));
  const used = brokers.map(() => false);
  let count = 0;
  let all = 0;
  for (const { row, client, cells } of rows) {
    const fits = passes(client, state.client);
    let any = false;
    cells.forEach((cell, column) => {
      const link = cell.querySelector("a");
      if (!link) return;
      const shown = fits && columns[column]
        && (!state.verdict || link.classList.contains(state.verdict))
        && (!state.cause || link.dataset.cause === state.cause);
      link.classList.toggle("off", !shown);
      all += 1;
      if (shown) {
        count += 1;
        any = true;
        used[column] = true;
      }
    });
    row.hidden = active && !any;
  }
  heads.forEach((head, column) => {
    const hidden = active && !used[column];
    if (head.hidden === hidden) return;
    head.hidden = hidden;
    for (const { cells } of rows) cells[column].hidden = hidden;
  });
  for (const key of keys) {
    if (filters.elements[key].value !== (state[key] || "")) filters.elements[key].value = state[key] || "";
  }
  find("#shown").value = active ? `${count} of ${all} cells` : `${all} cells`;
  const kept = matrix.querySelector("a[tabindex='0']");
  if (!kept || !visible(kept)) rove(matrix.querySelector("tr:not([hidden]) a:not(.off)"));
}

filters.addEventListener("input", () => {
  const state = {};
  for (const key of keys) state[key] = filters.elements[key].value;
  replace(state);
  show(state);
});
filters.addEventListener("reset", (event) => {
  event.preventDefault();
  replace({});
  show({});
});
filters.addEventListener("submit", (event) => event.preventDefault());

// The focus: one square of the matrix is in the tab order, arrow keys choose which.

function visible(link) {
  return !link.classList.contains("off") && !link.closest("tr").hidden;
}

function rove(link) {
  matrix.querySelector("a[tabindex='0']")?.setAttribute("tabindex", "-1");
  link?.setAttribute("tabindex", "0");
}

/** The next square from (row, column) in steps of (down, right). */
function next(row, column, down, right) {
  for (;;) {
    row += down;
    column += right;
    const cell = rows[row]?.cells[column];
    if (!cell) return null;
    const link = cell.querySelector("a");
    if (link && visible(link)) return link;
  }
}

function place(link) {
  const cell = link.closest("td");
  return [rows.findIndex(({ row }) => row === cell.parentNode), cell.cellIndex - 1];
}

const ways = {
  ArrowUp: (row, column) => next(row, column, -1, 0),
  ArrowDown: (row, column) => next(row, column, 1, 0),
  ArrowLeft: (row, column) => next(row, column, 0, -1),
  ArrowRight: (row, column) => next(row, column, 0, 1),
  Home: (row) => next(row, -1, 0, 1),
  End: (row) => next(row, brokers.length, 0, -1),
  PageUp: (row, column) => next(-1, column, 1, 0),
  PageDown: (row, column) => next(rows.length, column, -1, 0),
};

matrix.addEventListener("keydown", (event) => {
  const link = event.target.closest("td a");
  const way = ways[event.key];
  if (!link || !way || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const to = way(...place(link));
  if (!to) return;
  rove(to);
  to.focus();
  to.closest("td").scrollIntoView({ block: "nearest", inline: "nearest" });
});

for (const kind of ["focusin", "mouseover"]) {
  matrix.addEventListener(kind, (event) => {
    const link = event.target.closest("td a");
    matrix.querySelector("th.here")?.classList.remove("here");
    if (!link) return;
    const [row, column] = place(link);
    heads[column].classList.add("here");
    link.title = `${rows[row].client} with ${brokers[column]}: ${link.getAttribute("aria-label")}`
      + (link.dataset.cause ? `, ${link.dataset.cause}` : "");
    if (kind === "focusin") rove(link);
  });
}

// The panel

const unpacked = new Map();

/** The panels of a row: parts, and which of them each broker's panel is made of. */
function unpack(row) {
  if (!unpacked.has(row)) {
    const bytes = Uint8Array.from(atob(find(`#row-${row}`).textContent), (c) => c.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    unpacked.set(row, new Response(plain).json());
  }
  return unpacked.get(row);
}

function linkOf(cell) {
  return matrix.querySelector(`a[href="#cell=${CSS.escape(cell)}"]`);
}

async function open(cell) {
  const link = linkOf(cell);
  if (!link) {
    find("#shown").value = `this run has no cell ${cell}`;
    find("#matrix-title").scrollIntoView();
    return;
  }
  const [row, column] = place(link);
  const { parts, cells } = await unpack(row);
  // Another cell may have been asked for meanwhile.
  if (address().cell !== cell) return;
  const title = find("#panel-title");
  const [client, broker] = ["client", "broker"].map((kind) => {
    const name = document.createElement("span");
    name.className = kind;
    return name;
  });
  client.textContent = rows[row].client;
  broker.textContent = brokers[column];
  title.replaceChildren(client, " with ", broker);
  find("#link").href = hash({ cell });
  // Markup of the report's own making, every value in it escaped.
  find("#panel-parts").innerHTML = cells[brokers[column]].map((part) => parts[part]).join("");
  panel.scrollTop = 0;
  rove(link);
  if (!panel.open) panel.showModal();
  title.focus();
}

panel.addEventListener("close", () => {
  const state = address();
  const link = state.cell && linkOf(state.cell);
  delete state.cell;
  replace(state);
  if (link) link.focus();
});
find("#close").addEventListener("click", () => panel.close());
panel.addEventListener("click", (event) => {
  // Beside the panel: its own area is covered by its content.
  if (event.target === panel && event.clientX < panel.getBoundingClientRect().left) panel.close();
});

/** Goes to the cell before or after this one among those shown, row by row. */
function go(step) {
  const shown = [...matrix.querySelectorAll("td a")].filter(visible);
  const at = shown.indexOf(linkOf(address().cell));
  const to = shown[at + step];
  if (at >= 0 && to) replace({ ...address(), cell: to.getAttribute("href").slice(6) });
  follow();
}
find("#before").addEventListener("click", () => go(-1));
find("#after").addEventListener("click", () => go(1));

// A link to a cell keeps the filters; a link to a filter stands for itself.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#cell=']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || link.id === "link") return;
  event.preventDefault();
  const cell = link.getAttribute("href").slice(6);
  const state = hash({ ...address(), cell });
  if (state !== location.hash) history.pushState(null, "", state);
  follow();
});

let filtered = "";

function follow() {
  const state = address();
  const filter = hash({ ...state, cell: "" });
  const asks = keys.some((key) => state[key]);
  if (asks || Object.keys(state).length > 0 || filtered !== "#") show(state);
  if (asks && filter !== filtered && !state.cell) find("#matrix-title").scrollIntoView();
  filtered = filter;
  if (state.cell) open(state.cell);
  else if (panel.open) panel.close();
}

filters.hidden = false;
window.addEventListener("hashchange", follow);
follow();
