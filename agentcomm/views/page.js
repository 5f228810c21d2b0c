"use strict";
// Everything shown is put in as text: what agents said is data, and never becomes markup.
const id = (name) => document.getElementById(name);
const make = (tag, kind, text) => {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  if (text !== undefined) node.textContent = text;
  return node;
};
const put = (node, ...parts) => (node.append(...parts.filter((part) => part)), node);

async function unpacked(body) {
  return JSON.parse(await new Response(body.pipeThrough(new DecompressionStream("gzip"))).text());
}
const read = () => unpacked(new Blob([Uint8Array.from(atob(id("data").textContent), (letter) => letter.charCodeAt(0))]).stream());

const clock = (seconds) => {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const whole = Math.floor(seconds), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  const rest = String(whole % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
};

const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
// The name of a model without the folders of its file.
const short = (model) => model.replace(/^(\w+:)(?!.*:).*\//, "$1").replace(/:$/, "");

// Shows a story, as `kept` has it from before, and returns how it is shown; `over` ends what listens.
function begin(story, kept, over) {
  const signal = over?.signal, on = (node, kind, call) => node.addEventListener(kind, call, { signal });
  const { rows, pieces } = story;
  const names = Object.fromEntries(story.players.map((player) => [player.role, player.agent]));
  const roles = [...new Set(rows.flatMap((row) => (row.by ? [row.by] : [])))];
  const name = (role, lane) => names[role] || (lane && names[lane]) || lane || role;
  const colour = (role) => `var(--r${Math.max(0, roles.indexOf(role)) % 6})`;
  const is = {
    all: () => true,
    said: (row) => row.kind === "said" && !row.overlay,
    repair: (row) => row.overlay !== "" || row.notes.some((note) => ["trouble", "judged", "repair-opened", "repair-closed"].includes(note.code)),
    refused: (row) => ["refused", "late", "superseded", "duplicate"].includes(row.kind),
    trouble: (row) => row.trouble,
  };
  const words = { all: "All", said: "Main talk", repair: "Read-backs and repairs", refused: "Refusals", trouble: "Trouble" };
  const state = kept || { at: rows.length - 1, filter: "all", lane: "", search: "" };

  // --- the head ---
  const about = id("about");
  about.replaceChildren();
  id("filters").replaceChildren();
  id("lane").replaceChildren();
  const badge = make("span", `tag ${story.ok ? "good" : story.outcome ? "bad" : ""}`, story.outcome ? (story.outcome === story.outcome_class ? story.outcome : `${story.outcome} (${story.outcome_class})`) : "still open");
  put(about, badge, ` ${story.cause ? story.cause + " · " : ""}${count(story.messages, "message")} · ${count(story.repairs, "repair")} · ${clock(story.duration)} · ${story.opened.slice(0, 19).replace("T", " ")} UTC · `);
  about.append(story.players.map((player) => `${player.role}: ${player.agent}${player.model ? ` (${short(player.model)})` : ""}`).join(", "));
  if (story.within) put(about, make("span", "dim", ` · within ${story.within}`));
  if (story.past) put(about, make("span", "dim", ` · ${story.past}`));
  if (story.damage) put(about, make("span", "bad", ` · damaged: ${story.damage}`));
  if (story.level !== "full") put(about, make("span", "dim", ` · what was said is not kept${story.level === "hash" ? ", only its hashes" : ""}`));
  else if (story.erased) put(about, make("span", "bad", ` · the content of ${story.erased} records was erased`));
  for (const [key, word] of Object.entries(words)) {
    const button = make("button", "", word);
    button.type = "button";
    button.append(make("span", "n", rows.filter(is[key]).length));
    on(button, "click", () => choose(key));
    button.dataset.key = key;
    id("filters").append(button);
  }
  const lanes = [...new Set(rows.map((row) => row.lane).filter((lane) => lane))];
  if (lanes.length) {
    const select = id("lane");
    select.hidden = false;
    for (const lane of ["", ...lanes]) put(select, Object.assign(make("option", "", lane || "every lane"), { value: lane }));
    select.value = state.lane;
    on(select, "change", () => { state.lane = select.value; sift(); });
  }

  // --- the talk: only the rows that can be seen are in the page ---
  const talk = id("talk"), list = id("rows");
  list.replaceChildren();
  const drawn = new Map(); // number of a row -> its node
  const heights = Float64Array.from(rows, guess);
  let shown = rows.map((_, number) => number); // rows that the filters let through
  let tops = new Float64Array(1), spot = new Map(); // where each of them begins; row -> its place among them
  const AROUND = 500; // pixels drawn beyond what can be seen
  function guess(row) {
    const lines = row.fields.reduce((sum, [, text]) => sum + Math.min(7, Math.ceil((text.length + 1) / 60)), 0);
    return 12 + 20 * ((row.by ? 1 : 0) + (row.text ? 1 : 0) + lines) + 19 * row.notes.length + (row.calls.length ? 17 : 0);
  }
  function stack() {
    tops = new Float64Array(shown.length + 1);
    shown.forEach((number, place) => { tops[place + 1] = tops[place] + heights[number]; });
    list.style.height = `${tops[shown.length]}px`;
  }
  function placeAt(y) {
    let low = 0, high = shown.length - 1;
    while (low < high) { const middle = (low + high + 1) >> 1; if (tops[middle] <= y) low = middle; else high = middle - 1; }
    return low;
  }
  function paint() {
    const from = placeAt(talk.scrollTop - AROUND), to = shown.length ? placeAt(talk.scrollTop + talk.clientHeight + AROUND) : -1;
    const wanted = new Set(shown.slice(from, to + 1));
    for (const [number, node] of drawn) if (!wanted.has(number)) { node.remove(); drawn.delete(number); }
    const fresh = [];
    for (const number of wanted) {
      if (drawn.has(number)) continue;
      const node = article(rows[number], number);
      drawn.set(number, node);
      fresh.push(node);
    }
    list.append(...fresh);
    let moved = 0, changed = false;
    const anchor = shown[placeAt(talk.scrollTop)];
    for (const [number, node] of drawn) {
      const height = node.offsetHeight;
      if (Math.abs(height - heights[number]) < 0.5) continue;
      if (spot.get(number) < spot.get(anchor)) moved += height - heights[number];
      heights[number] = height;
      changed = true;
    }
    if (changed) stack();
    for (const [number, node] of drawn) {
      node.style.transform = `translateY(${tops[spot.get(number)]}px)`;
      node.classList.toggle("now", number === state.at);
      node.classList.toggle("later", number > state.at);
      node.setAttribute("aria-current", number === state.at ? "step" : "false");
    }
    if (moved) talk.scrollTop += moved;
    return changed;
  }
  function paintAll() { for (let tries = 0; tries < 5 && paint(); tries++); }
  function reveal(number, block) {
    for (let tries = 0; tries < 4; tries++) {
      const top = tops[spot.get(number)], bottom = top + heights[number];
      const was = talk.scrollTop;
      if (block === "center") talk.scrollTop = top - (talk.clientHeight - heights[number]) / 2;
      else if (top < talk.scrollTop + 40) talk.scrollTop = top - 40;
      else if (bottom > talk.scrollTop + talk.clientHeight - 40) talk.scrollTop = bottom - talk.clientHeight + 40;
      if (!paint() && talk.scrollTop === was) break;
    }
    paintAll();
  }
  let waiting = false;
  on(talk, "scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; paintAll(); });
  });
  const sized = new ResizeObserver(() => paintAll());
  sized.observe(talk);
  signal?.addEventListener("abort", () => sized.disconnect());

  function article(row, number) {
    const fault = ["refused", "late", "expired"].includes(row.kind);
    const node = make("article", `row${row.overlay ? " over" : ""}${fault ? " fault" : ""}${row.kind === "ended" ? " end" : ""}`);
    node.dataset.number = number;
    node.setAttribute("aria-posinset", number + 1);
    node.setAttribute("aria-setsize", rows.length);
    const mark = make("div", "num", row.n || "");
    mark.append(make("i", "", clock(row.at)));
    const body = make("div", "body"), head = make("div", "");
    if (row.by) {
      const who = make("span", "who", name(row.by, row.by in names ? "" : row.lane));
      who.style.color = colour(row.by);
      head.append(who);
    }
    const to = row.overlay ? ` re ${row.about}` : row.to.length ? ` → ${row.to.map((role) => name(role, role in names ? "" : row.lane)).join(", ")}` : "";
    put(head, make("span", "to", `${to} `), row.act && row.kind !== "ended" ? make("span", "act", row.act) : "");
    if (row.kind !== "said" && row.kind !== "note" && row.kind !== "ended") put(head, make("span", fault ? "bad" : "dim", ` ${row.kind}`));
    if (row.made_by === "rule") put(head, make("span", "rule", "by rule"));
    if (row.lane) put(head, make("span", "lane", row.lane));
    if (row.overlay) put(head, make("span", "lane", row.overlay));
    put(body, head.textContent.trim() ? head : "");
    if (row.text) put(body, make("div", fault ? "bad" : row.kind === "ended" ? (story.ok ? "good" : "bad") : "dim", row.text));
    if (row.fields.length) body.append(table(row.fields));
    for (const note of row.notes) body.append(make("div", `note ${note.kind}`, note.text));
    if (row.calls.length) {
      const made = row.calls.map((call) => `${short(call.name)}${call.seconds ? ` ${call.seconds.toFixed(1)} s` : ""}${call.tokens_in ? `, ${call.tokens_in}+${call.tokens_out ?? 0} tokens` : ""}${call.error ? " failed" : ""}`);
      body.append(make("div", "called", `after ${made.join("; ")}`));
    }
    return put(node, mark, body);
  }
  on(talk, "click", (event) => {
    const node = event.target.closest(".row");
    if (node && !String(getSelection())) go(Number(node.dataset.number));
  });
  const texts = new Map();
  function textOf(number) {
    if (!texts.has(number)) {
      const row = rows[number];
      const parts = [name(row.by), ...row.to.map((role) => name(role)), row.act, row.lane, row.text, row.kind, ...row.fields.flat(), ...row.notes.map((note) => note.text)];
      texts.set(number, parts.join(" ").toLowerCase());
    }
    return texts.get(number);
  }

  function table(pairs) {
    const list = make("dl");
    for (const [key, value] of pairs) list.append(make("dt", "", key), make("dd", "", value));
    return list;
  }

  // --- where the talk stands at a step: folded forward, a checkpoint every hundred rows ---
  const OPEN = ["proposed", "conditional", "detached"];
  const points = [{ place: {}, ground: {}, owed: {}, over: {}, due: {}, been: {} }];
  const EVERY = 100;
  const copy = (point) => structuredClone(point);
  function forward(point, row) {
    for (const [lane, before, next] of row.moved) {
      if (lane) delete point.place[""];
      point.place[lane] = next;
      point.been[next] = true;
      if (before) point.been[`${before}\n${next}`] = true;
      delete point.due[lane];
    }
    for (const item of row.ground) point.ground[item.key] = item;
    for (const [key, act, debtor, creditor, status] of row.commitments) {
      if (OPEN.includes(status)) { point.owed[key] = { act, debtor, creditor, status }; continue; }
      delete point.owed[key];
      point.over[status] = (point.over[status] || 0) + 1;
    }
    for (const [lane, where, at] of row.deadlines) point.due[lane] = { where, at };
    return point;
  }
  function standing(at) {
    let number = Math.min(points.length - 1, Math.floor((at + 1) / EVERY));
    let point = copy(points[number]);
    for (let row = number * EVERY; row <= at; row++) {
      forward(point, rows[row]);
      if ((row + 1) % EVERY === 0 && points.length === (row + 1) / EVERY) points.push(copy(point));
    }
    return point;
  }

  // --- the graph ---
  const boxes = Object.fromEntries([...document.querySelectorAll("[data-state]")].map((node) => [node.dataset.state, node]));
  const arrows = [...document.querySelectorAll("[data-from]")];
  const box = (place) => boxes[place] || boxes[(place || "").split("/")[0]];
  const boxName = (place) => (boxes[place] ? place : (place || "").split("/")[0]);
  // Where the drawing is longer than its place, the lit state is kept in it.
  function show(node) {
    const place = id("place");
    if (!node || (place.scrollHeight <= place.clientHeight && place.scrollWidth <= place.clientWidth)) return;
    const inner = node.getBoundingClientRect(), outer = place.getBoundingClientRect();
    if (inner.top < outer.top + 8 || inner.bottom > outer.bottom - 8) place.scrollTop += inner.top - outer.top - (outer.height - inner.height) / 2;
    if (inner.left < outer.left + 8 || inner.right > outer.right - 8) place.scrollLeft += inner.left - outer.left - (outer.width - inner.width) / 2;
  }
  // Where the drawing is longer than its place, the lit state is kept in it.
  function show(node) {
    const place = id("place");
    if (!node || (place.scrollHeight <= place.clientHeight && place.scrollWidth <= place.clientWidth)) return;
    const inner = node.getBoundingClientRect(), outer = place.getBoundingClientRect();
    if (inner.top < outer.top + 8 || inner.bottom > outer.bottom - 8) place.scrollTop += inner.top - outer.top - (outer.height - inner.height) / 2;
    if (inner.left < outer.left + 8 || inner.right > outer.right - 8) place.scrollLeft += inner.left - outer.left - (outer.width - inner.width) / 2;
  }
  function light(point, row) {
    document.querySelectorAll("text.count").forEach((node) => node.remove());
    for (const node of Object.values(boxes)) node.classList.remove("lit", "been");
    for (const place of Object.keys(point.been)) if (!place.includes("\n")) box(place)?.classList.add("been");
    const counts = {};
    for (const place of Object.values(point.place)) counts[boxName(place)] = (counts[boxName(place)] || 0) + 1;
    for (const [place, count] of Object.entries(counts)) {
      const node = boxes[place];
      if (!node) continue;
      node.classList.add("lit");
      if (count > 1 || Object.keys(point.place).length > 1) {
        const shape = node.querySelector(".box"), label = document.createElementNS("http://www.w3.org/2000/svg", "text");
        label.setAttribute("class", "count");
        label.setAttribute("x", Number(shape.getAttribute("x")) + Number(shape.getAttribute("width")) + 4);
        label.setAttribute("y", Number(shape.getAttribute("y")) + 14);
        label.textContent = `×${count}`;
        node.append(label);
      }
    }
    show(boxes[boxName(point.place[row.lane || ""])] || document.querySelector("#place [data-state].lit"));
    show(boxes[boxName(point.place[row.lane || ""])] || document.querySelector("#place [data-state].lit"));
    const taken = new Set(row.moved.map(([, before, next]) => `${boxName(before)}\n${boxName(next)}`));
    const been = new Set(Object.keys(point.been).filter((key) => key.includes("\n")).map((key) => key.split("\n").map(boxName).join("\n")));
    for (const arrow of arrows) {
      const key = `${arrow.dataset.from}\n${arrow.dataset.to}`;
      arrow.classList.toggle("lit", taken.has(key));
      arrow.classList.toggle("been", been.has(key) && !taken.has(key));
    }
  }

  // --- beside it ---
  const section = (title, node) => [make("h2", "", title), node];
  function side(point, row) {
    const parts = [];
    const places = Object.entries(point.place);
    if (places.length) {
      const rowsOf = places.map(([lane, place]) => {
        const due = point.due[lane];
        return [lane || "state", place, due && due.where === place ? `until ${clock(due.at)}` : ""];
      });
      parts.push(...section(places.length > 1 ? `Lanes (${places.length})` : "Position", grid(rowsOf)));
    }
    const fresh = new Set(row.ground.map((item) => item.key));
    const ground = Object.values(point.ground);
    if (ground.length) {
      parts.push(...section(`Common ground (${ground.filter((item) => item.status === "grounded").length} grounded)`,
        grid(ground.map((item) => [item.key, item.value, `${item.status}, ${item.n}`]), (number) => (ground[number].status === "void" ? "void" : fresh.has(ground[number].key) ? "new" : ""))));
    }
    const now = row.commitments.filter(([, , , , status]) => !OPEN.includes(status)).map(([, act, debtor, creditor, status]) => ({ act, debtor, creditor, status }));
    const owed = [...Object.values(point.owed), ...now], over = Object.entries(point.over);
    if (owed.length || over.length) {
      parts.push(make("h2", "", "Commitments"));
      const most = 40, fresh = new Set(now);
      if (owed.length) parts.push(grid(owed.slice(0, most).map((one) => [one.act, `${name(one.debtor)} to ${name(one.creditor)}`, one.status]), (number) => (fresh.has(owed[number]) ? "new" : "")));
      if (owed.length > most) parts.push(make("p", "dim", `and ${owed.length - most} more`));
      if (over.length) parts.push(make("p", "dim", `over: ${over.map(([status, count]) => `${count} ${status}`).join(", ")}`));
    }
    if (row.calls.length) {
      parts.push(make("h2", "", "What led to it"));
      for (const call of row.calls) parts.push(callBox(call));
    }
    id("side").replaceChildren(...parts);
  }
  function grid(lines, kind = () => "") {
    const node = make("table");
    lines.forEach((line, number) => {
      const row = make("tr", kind(number));
      line.forEach((text, column) => row.append(make("td", column === 2 ? "s dim" : "", text)));
      node.append(row);
    });
    return node;
  }
  const before = new Map();
  const last = {};
  for (const row of rows) for (const call of row.calls) if (call.segments) {
    before.set(call, last[call.agent]);
    last[call.agent] = call;
  }
  function callBox(call) {
    const node = make("div", "call");
    const facts = [call.attempt > 1 ? `try ${call.attempt}` : "", call.seconds ? `${call.seconds.toFixed(2)} s` : "", call.tokens_in != null ? `${call.tokens_in} tokens in` : "", call.tokens_out != null ? `${call.tokens_out} out` : ""].filter((fact) => fact);
    node.append(put(make("h3", "", `${call.kind === "tool" ? "tool " : ""}${short(call.name)}`), make("span", "dim", facts.length ? `  ${facts.join(", ")}` : "")));
    const old = before.get(call);
    const used = new Set();
    for (const piece of call.segments || []) {
      const same = old?.segments.find((other) => other.hash === piece.hash && !used.has(other));
      const like = same || old?.segments.find((other) => other.label === piece.label && !used.has(other) && !call.segments.some((mine) => mine.hash === other.hash));
      if (like) used.add(like);
      const text = pieces[piece.hash] ?? "erased";
      const change = !old ? "" : same ? "as before" : like ? "changed" : "new";
      const part = make("details");
      const line = make("summary", "", `${piece.label} `);
      line.append(make("span", "dim", `${piece.role}, ${text.length} characters `), make("span", change === "as before" || !change ? "dim" : "good", change));
      put(part, line);
      part.open = change === "changed" || change === "new";
      part.append(change === "changed" ? compared(pieces[like.hash] ?? "", text) : make("pre", "", text));
      node.append(part);
    }
    for (const gone of (old?.segments || []).filter((other) => !used.has(other))) node.append(make("div", "bad note", `no longer sent: ${gone.label}`));
    for (const [key, text] of [["arguments", call.arguments], ["schema", call.schema], ["thinking", call.thinking], ["answer", call.answer], ["error", call.error]]) {
      if (!text) continue;
      const part = make("details");
      part.open = key === "answer" || key === "error" || key === "arguments";
      node.append(put(part, make("summary", key === "error" ? "bad" : "", key), make("pre", "", text)));
    }
    return node;
  }
  function compared(was, now) {
    const node = make("pre"), a = was.split("\n"), b = now.split("\n");
    if (a.length * b.length > 250000) return make("pre", "", now);
    const long = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
    for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) long[i][j] = a[i] === b[j] ? long[i + 1][j + 1] + 1 : Math.max(long[i + 1][j], long[i][j + 1]);
    for (let i = 0, j = 0; i < a.length || j < b.length; ) {
      if (i < a.length && j < b.length && a[i] === b[j]) { node.append(`${b[j]}\n`); i++; j++; }
      else if (j < b.length && (i >= a.length || long[i][j + 1] > long[i + 1][j])) node.append(make("ins", "", `${b[j++]}\n`));
      else node.append(make("del", "", `${a[i++]}\n`));
    }
    return node;
  }

  // --- moving ---
  function go(at, block) {
    state.at = at;
    reveal(at, block);
    tell(at);
    side(standing(at), rows[at]);
  }
  function tell(at) {
    light(standing(at), rows[at]);
    id("slider").value = at;
    id("now").textContent = `${at + 1} of ${rows.length}, ${clock(rows[at].at)}`;
  }
  // Where a row is, or would be, among those shown.
  const placeOf = (number) => {
    let low = 0, high = shown.length;
    while (low < high) { const middle = (low + high) >> 1; if (shown[middle] < number) low = middle + 1; else high = middle; }
    return low;
  };
  function step(by) {
    if (!shown.length) return;
    const at = placeOf(state.at), here = shown[at] === state.at;
    const next = shown[Math.max(0, Math.min(shown.length - 1, at + by - (!here && by > 0 ? 1 : 0)))];
    if (next !== state.at) go(next);
  }
  function seek(by) {
    for (let at = placeOf(state.at) + (by > 0 && shown[placeOf(state.at)] !== state.at ? 0 : by); at >= 0 && at < shown.length; at += by) if (rows[shown[at]].trouble) return go(shown[at]);
  }
  function sift() {
    const wanted = state.search.toLowerCase();
    shown = rows.map((_, number) => number).filter((number) => {
      const row = rows[number];
      return is[state.filter](row) && (!state.lane || !row.lane || row.lane === state.lane) && (!wanted || textOf(number).includes(wanted));
    });
    spot = new Map(shown.map((number, place) => [number, place]));
    for (const node of drawn.values()) node.remove();
    drawn.clear();
    stack();
    id("none").hidden = shown.length > 0;
    for (const button of id("filters").children) button.setAttribute("aria-pressed", button.dataset.key === state.filter);
    if (!shown.length) return;
    if (spot.has(state.at)) reveal(state.at, "center");
    else go(shown[Math.min(placeOf(state.at), shown.length - 1)], "center");
  }
  function choose(key) { state.filter = key; sift(); }
  function marks() {
    const canvas = id("marks"), wide = canvas.clientWidth || 600;
    canvas.width = wide;
    const paint = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
    rows.forEach((row, number) => {
      const kind = row.trouble ? "--bad" : row.overlay ? "--warn" : "";
      if (!kind) return;
      paint.fillStyle = style.getPropertyValue(kind);
      paint.fillRect(8 + (number / Math.max(1, rows.length - 1)) * (wide - 16) - 1, 0, 2, 8);
    });
  }
  const slider = id("slider");
  slider.max = rows.length - 1;
  on(slider, "input", () => go(Number(slider.value)));
  on(id("search"), "input", (event) => { state.search = event.target.value; sift(); });
  on(id("help"), "click", () => keys());
  function keys() {
    id("keys").hidden = !id("keys").hidden;
    id("help").setAttribute("aria-expanded", !id("keys").hidden);
  }
  on(window, "keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input[type=search], select");
    if (typing) { if (event.key === "Escape") event.target.blur(); return; }
    const filters = Object.keys(words);
    const acts = {
      ArrowDown: () => step(1), j: () => step(1), ArrowRight: () => step(1), ArrowUp: () => step(-1), k: () => step(-1), ArrowLeft: () => step(-1),
      PageDown: () => step(10), PageUp: () => step(-10), Home: () => step(-rows.length), End: () => step(rows.length),
      n: () => seek(1), p: () => seek(-1), "/": () => id("search").focus(), "?": keys,
      m: () => document.querySelectorAll("#side details").forEach((part) => { part.open = !part.open; }),
    };
    filters.forEach((key, number) => { acts[number + 1] = () => choose(key); });
    if (acts[event.key]) { event.preventDefault(); acts[event.key](); }
  });
  on(window, "resize", marks);
  if (rows.length) {
    const first = story.ok ? rows.length - 1 : story.first;
    if (!kept) state.at = first >= 0 ? first : rows.length - 1;
    const top = talk.scrollTop;
    sift();
    if (kept && !kept.follows) { // whoever reads further up is left alone
      talk.scrollTop = top;
      paintAll();
      tell(state.at);
    } else go(state.at, kept ? undefined : "center");
  }
  marks();
  document.documentElement.dataset.ready = Math.round(performance.now());
  return state;
}

// While the talk goes on, the page asks for what came since, and follows it as long as it stands at its end.
async function follow(story, state, over) {
  const line = id("live"), tell = (text, kind) => { line.hidden = false; line.className = kind; line.textContent = text; };
  for (let version = id("data").dataset.live, misses = 0; !story.outcome; ) {
    tell("live", "good");
    try {
      const answer = await fetch(`data?after=${version}`, { cache: "no-store" });
      if (answer.status === 204) continue;
      if (!answer.ok) throw new Error(answer.status);
      version = answer.headers.get("x-version");
      const rows = story.rows.length;
      story = await unpacked(answer.body);
      over.abort();
      over = new AbortController();
      const follows = state.at >= rows - 1;
      state = begin(story, { ...state, at: follows ? story.rows.length - 1 : state.at, follows }, over);
      misses = 0;
    } catch {
      if (++misses > 5) return tell("no longer live: the program that showed it is gone", "bad");
      await new Promise((again) => setTimeout(again, 300 * misses));
    }
  }
  tell("over", "dim");
}

read().then((story) => {
  const over = new AbortController(), state = begin(story, null, over);
  if (id("data").dataset.live) follow(story, state, over);
}).catch((error) => { id("about").textContent = `This page cannot be shown: ${error.message}`; });
