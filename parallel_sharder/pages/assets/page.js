"use strict";
(() => {
const page = JSON.parse(document.getElementById("page-data").textContent);
const root = document.documentElement;
const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

function number(value) {
  return Math.abs(value) >= 100 || Number.isInteger(value) ? whole.format(value) : fine.format(value);
}
function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (Math.abs(value) >= 1000 && at < units.length - 1) { value /= 1000; at += 1; }
  return `${number(value)} ${units[at]}`;
}
function seconds(value) {
  if (value < 100) return `${fine.format(value)} s`;
  const total = Math.round(value), hours = Math.floor(total / 3600), minutes = Math.floor(total / 60) % 60;
  const two = (part) => String(part).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)} h` : `${minutes}:${two(total % 60)} min`;
}
const written = { number, bytes, seconds, percent: (value) => `${number(value)} %` };

// Charts. Colours are asked for at each drawing, so that dark, light and paper need no other chart.
const drawn = [];

const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7];
const NICE = [1, 1.5, 2, 3, 5, 7];
function logSplits(u, _, low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    for (const step of NICE) found.push(step * 10 ** power);
  }
  const inside = found.filter((value) => value >= low && value <= high);
  const every = Math.ceil(inside.length / Math.max(2, Math.floor(u.width / 90)));
  return inside.filter((_value, at) => at % every === 0);
}

function laneAxis(chart) {
  const hosts = chart.lanes, lanes = hosts.length;
  const firsts = hosts.map((_, at) => at).filter((at) => at === 0 || hosts[at] !== hosts[at - 1]);
  if (firsts.length < 2) return { ...axis("number", chart.y, 44), splits: () => laneSplits(lanes), values: (_, splits) => splits.map((at) => String(at + 1)) };
  const shown = (host) => (host.length > 14 ? `${host.slice(0, 13)}…` : host);
  return { ...axis("number", `${chart.y}, by host`, 110), splits: () => firsts, values: (_, splits) => splits.map((at) => shown(hosts[at])) };
}
function laneSplits(lanes) {
  const step = WHOLE.find((each) => lanes / each <= 16) || lanes;
  return Array.from({ length: Math.ceil(lanes / step) }, (_, at) => at * step);
}

function axis(unit, label, size) {
  return {
    label, labelSize: 22, size, labelFont: "13px system-ui, sans-serif", font: "12px system-ui, sans-serif",
    stroke: () => colour("--muted"), grid: { stroke: () => colour("--line"), width: 1 },
    ticks: { stroke: () => colour("--line"), width: 1 },
    values: (_, splits) => splits.map((value) => (value === null ? "" : written[unit](value))),
  };
}

function broken(chart) {
  return (u) => {
    u.ctx.save();
    u.ctx.strokeStyle = colour("--muted");
    u.ctx.setLineDash([2, 4]);
    for (const at of chart.breaks) {
      const x = Math.round(u.valToPos(at, "x", true));
      u.ctx.beginPath();
      u.ctx.moveTo(x, u.bbox.top);
      u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
      u.ctx.stroke();
    }
    u.ctx.restore();
  };
}

function asBars(chart) {
  return (u, series) => {
    const fill = new Path2D(), values = u.data[series], base = u.valToPos(0, "y", true);
    for (let at = 0; at < values.length; at += 1) {
      if (!values[at]) continue;
      const left = u.valToPos(chart.xs[at], "x", true), right = u.valToPos(chart.xs[at + 1], "x", true);
      const top = Math.min(u.valToPos(values[at], "y", true), base - 1), gap = right - left > 4 ? 1 : 0;
      fill.rect(left, top, Math.max(right - left - gap, 0.5), base - top);
    }
    return { fill, stroke: null };
  };
}

function drawLanes(chart) {
  return (u) => {
    const ctx = u.ctx, height = Math.abs(u.valToPos(1, "y", true) - u.valToPos(0, "y", true));
    const thick = Math.max(height * 0.78, 0.5);
    ctx.save();
    ctx.beginPath();
    ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    ctx.clip();
    for (const [lane, began, ended, mark] of chart.bars) {
      const left = u.valToPos(began, "x", true), right = u.valToPos(ended, "x", true);
      const middle = u.valToPos(lane, "y", true), width = Math.max(right - left - (right - left > 4 ? 1 : 0), 1);
      ctx.fillStyle = colours[mark];
      ctx.fillRect(left, middle - thick / 2, width, thick);
      ctx.fillStyle = colours.card;
      if (mark === 1 && width > 6 && thick > 6) ctx.fillRect(left + 2, middle - thick / 2 + 2, width - 4, thick - 4);
      if (mark === 3) for (let x = left + 3; x < left + width - 1; x += 8) ctx.fillRect(x, middle - thick / 2, 2, thick / 2);
    }
    ctx.restore();
  };
}
let colours = {};
function lookUpColours() {
  colours = { card: colour("--card") };
  for (const mark of [0, 2, 3]) colours[mark] = colour(`--mark${mark}`);
  colours[1] = colours[0];
}

function centres(edges) {
  return edges.slice(1).map((right, at) => (edges[at] + right) / 2);
}

function readings(chart, at) {
  const x = chart.names.length ? chart.names[at]
    : chart.kind === "bars" ? `${written[chart.x_unit](chart.xs[at])} to ${written[chart.x_unit](chart.xs[at + 1])}`
    : written[chart.x_unit](chart.xs[at]);
  const values = chart.curves.map((curve) => {
    const value = curve.values[at];
    return `${curve.name} ${value === null ? "not known" : written[chart.y_unit](value)}`;
  });
  const per = chart.y.endsWith("/s") ? "/s" : "";
  return `${chart.names.length ? "" : `${chart.x}: `}${x} — ${values.join(per + ", ")}${per}`;
}

function barAt(chart, x, y) {
  return chart.bars.find(([lane, began, ended]) => Math.abs(lane - y) <= 0.5 && x >= began && x <= ended);
}

const MARKS = ["", ", made by a continued run", ", slow", ", made again after a worker died"];
function told(chart, bar) {
  const [lane, began, ended, mark, shard, samples, size] = bar;
  return `Shard ${shard}, lane ${lane + 1} on ${chart.lanes[lane]}: ${seconds(began)} to ${seconds(ended)}, `
    + `${whole.format(samples)} samples, ${bytes(size)}${MARKS[mark]}`;
}

function draw(chart) {
  const place = document.querySelector(`[data-chart="${chart.id}"]`);
  const readout = document.getElementById(`${chart.id}-readout`);
  const isLanes = chart.kind === "lanes", isBars = chart.kind === "bars";
  const xs = isBars ? centres(chart.xs) : isLanes ? [0, Math.max(chart.xs[chart.xs.length - 1], 0.001)] : chart.xs;
  const edges = isBars ? [chart.xs[0], chart.xs[chart.xs.length - 1]] : [0, xs[xs.length - 1] || 1];
  const values = isLanes ? [[null, null]] : chart.curves.map((curve) => curve.values);
  const lanes = chart.lanes.length;
  const height = () => isLanes ? Math.min(640, 70 + lanes * Math.max(4, Math.min(20, 420 / lanes)) + (lanes === 1 ? 24 : 0)) : 240;
  const series = isLanes ? [{ show: false }] : chart.curves.map((curve) => ({
    stroke: () => colour(`--c${curve.colour}`),
    fill: isBars ? () => colour(`--c${curve.colour}`) : undefined,
    width: curve.is_limit ? 1.5 : 2,
    dash: curve.is_limit ? [8, 6] : undefined,
    points: { show: !isBars && xs.length < 40 && !curve.is_limit },
    paths: isBars ? asBars(chart) : undefined,
  }));
  let isCursorShown = false;
  const u = new uPlot({
    width: Math.max(place.clientWidth, 120), height: height(), legend: { show: false },
    padding: [12, 18, 0, 0],
    cursor: { drag: { x: true, y: false }, y: false, points: { show: !isBars && !isLanes } },
    scales: {
      x: { time: false, distr: chart.is_log ? 3 : 1, range: (_, low, high) => low === null || (low === xs[0] && high === xs[xs.length - 1]) ? edges : [low, high] },
      y: isLanes ? { dir: -1, range: () => [-0.6, lanes - 0.4] }
        : { range: (_, low, high) => [0, Math.max(high * 1.06, high > 0 ? 0 : 1)] },
    },
    axes: [
      {
        ...axis(chart.x_unit, chart.x, 36),
        ...(chart.is_log ? { splits: logSplits, filter: (_, splits) => splits } : {}),
        ...(chart.x_unit === "number" && !chart.is_log ? { incrs: WHOLE } : {}),
      },
      isLanes
        ? { ...laneAxis(chart), grid: { show: false } }
        : { ...axis(chart.y_unit, chart.y, 68), ...(chart.y_unit === "number" ? { incrs: WHOLE } : {}) },
    ],
    series: [{}, ...series],
    hooks: {
      draw: [isLanes ? drawLanes(chart) : () => {}, broken(chart)],
      setCursor: [(self) => {
        if (!isCursorShown && self.cursor.left < 0) return;
        isCursorShown = true;
        if (isLanes) {
          const bar = self.cursor.left < 0 ? null : barAt(chart, self.posToVal(self.cursor.left, "x"), self.posToVal(self.cursor.top, "y"));
          if (bar) readout.textContent = told(chart, bar);
        } else if (self.cursor.idx !== null && self.cursor.idx !== undefined) {
          readout.textContent = readings(chart, self.cursor.idx);
        }
      }],
    },
  }, [xs, ...values], place);
  let at = -1;
  place.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const count = isLanes ? chart.bars.length : xs.length;
    if (!step || !count) return;
    event.preventDefault();
    at = Math.min(Math.max(at + step, 0), count - 1);
    if (isLanes) readout.textContent = told(chart, chart.bars[at]);
    else u.setCursor({ left: u.valToPos(xs[at], "x"), top: u.over.clientHeight / 2 });
  });
  drawn.push({ u, place, height });
  new ResizeObserver(() => fit({ u, place, height })).observe(place);
}
function fit({ u, place, height }) {
  const width = Math.max(place.clientWidth, 120);
  if (width !== u.width) u.setSize({ width, height: height() });
}
function redraw() {
  lookUpColours();
  for (const each of drawn) { fit(each); each.u.redraw(false); }
}

// Tables: rows are in the page's data, and a screenful of them in the document.
const SHOWN = page.shown;
function shownCell(cell) {
  return typeof cell === "number" ? (Number.isInteger(cell) ? whole.format(cell) : String(cell)) : String(cell);
}
class Table {
  constructor(table) {
    Object.assign(this, table);
    this.element = document.getElementById(table.id);
    this.found = this.rows;
    this.first = 0;
    this.sorted = null;
    for (const button of this.element.querySelectorAll("[data-sort]")) button.addEventListener("click", () => this.sort(Number(button.dataset.sort)));
    const search = document.querySelector(`[data-search="${table.id}"]`);
    if (search) search.addEventListener("input", () => this.search(search.value));
    for (const button of document.querySelectorAll(`[data-of="${table.id}"]`)) button.addEventListener("click", () => { this.first += SHOWN * Number(button.dataset.turn); this.show(); });
    this.where = document.querySelector(`[data-where="${table.id}"]`);
    this.buttons = [...document.querySelectorAll(`[data-of="${table.id}"]`)];
    this.turnable();
  }
  sort(column) {
    const isDown = this.sorted === column ? !this.isDown : this.numeric[column];
    this.sorted = column;
    this.isDown = isDown;
    const sign = isDown ? -1 : 1, names = new Intl.Collator("en", { numeric: true });
    const compare = this.numeric[column] ? (a, b) => a[column] - b[column] : (a, b) => names.compare(a[column], b[column]);
    this.rows = [...this.rows].sort((a, b) => sign * compare(a, b));
    this.element.querySelectorAll("th").forEach((head, at) => {
      if (at === column) head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    this.search(this.text || "");
  }
  search(text) {
    this.text = text;
    const wanted = text.trim().toLowerCase();
    this.found = wanted ? this.rows.filter((row) => row.some((cell) => [String(cell), shownCell(cell)].some((shown) => shown.toLowerCase().includes(wanted)))) : this.rows;
    this.first = 0;
    this.show();
  }
  show() {
    this.first = Math.max(0, Math.min(this.first, this.found.length - 1));
    const body = document.createElement("tbody");
    for (const row of this.found.slice(this.first, this.first + SHOWN)) {
      const line = body.insertRow();
      row.forEach((cell, at) => {
        const place = line.insertCell();
        place.textContent = shownCell(cell);
        if (this.numeric[at]) place.className = "number";
      });
    }
    this.element.tBodies[0].replaceWith(body);
    this.turnable();
  }
  turnable() {
    const last = Math.min(this.first + SHOWN, this.found.length);
    if (this.where) this.where.textContent = this.found.length ? `${whole.format(this.first + 1)} to ${whole.format(last)} of ${whole.format(this.found.length)}` : "Nothing matches";
    for (const button of this.buttons) button.disabled = Number(button.dataset.turn) < 0 ? this.first === 0 : last >= this.found.length;
  }
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy);
    getSelection().selectAllChildren(text);
    try { await navigator.clipboard.writeText(text.textContent); button.textContent = "Copied"; } catch { button.textContent = "Selected"; }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}
for (const table of page.tables) new Table(table);
lookUpColours();
requestAnimationFrame(() => { page.charts.forEach(draw); root.dataset.drawn = page.charts.length; });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
function onPaper(isPaper) {
  if (isPaper) root.dataset.print = ""; else delete root.dataset.print;
  redraw();
}
matchMedia("print").addEventListener("change", (event) => onPaper(event.matches));
addEventListener("beforeprint", () => onPaper(true));
addEventListener("afterprint", () => onPaper(false));
})();
