/* What the book's pages do: players, plots that answer, tables that sort, search results with context. No library. */
"use strict";

/* Players: one plays at a time, and a line shows where in its spectrogram it is. */
document.addEventListener("play", (event) => {
  for (const other of document.querySelectorAll("audio")) if (other !== event.target) other.pause();
  const line = event.target.closest("figure.player")?.querySelector(".picture > span");
  const move = () => {
    if (!line) return;
    line.style.left = `${(100 * event.target.currentTime) / event.target.duration}%`;
    if (!event.target.paused) requestAnimationFrame(move);
  };
  move();
}, true);

/* Plots that answer: the clip under the pointer lights up in all plots and is named; a click or a button plays it. */
function answer(plot) {
  const says = plot.querySelector(".now");
  const sound = plot.appendChild(document.createElement("audio"));
  const root = document.documentElement.dataset.content_root || "";
  const same = (name) => plot.querySelectorAll(`svg [data-clip="${CSS.escape(name)}"]`);
  const light = (name) => {
    for (const mark of plot.querySelectorAll(".lit")) mark.classList.remove("lit");
    for (const mark of same(name)) mark.classList.add("lit");
    says.textContent = same(name)[0]?.querySelector("title").textContent ?? name;
  };
  for (const event of ["pointerover", "focusin", "click"]) {
    plot.addEventListener(event, ({target}) => {
      const name = target.closest("[data-clip]")?.dataset.clip;
      if (!name) return;
      light(name);
      if (event !== "click") return;
      sound.src = `${root}_static/sounds/${plot.dataset.machine}/${name}.mp3`;
      sound.play().catch(() => { says.textContent += " (this clip has no sound here)"; });
    });
  }
}

/* Tables of words: each cell knows its heading, which a phone shows next to it (book.css). */
function headed(table) {
  const heads = []; // of columns below several heads all of them, of the first column the lowest
  for (const row of table.tHead?.rows ?? []) {
    let column = 0;
    for (const cell of row.cells) for (let across = 0; across < cell.colSpan; across += 1, column += 1) {
      const text = cell.textContent.trim();
      if (text) heads[column] = heads[column] && column ? `${heads[column]}, ${text}` : text;
    }
  }
  for (const body of table.tBodies) for (const row of body.rows) {
    [...row.cells].forEach((cell, number) => { cell.dataset.head = heads[number] ?? ""; });
  }
}

/* Short tables that a phone would cut, with their results out of view, become cards, too. */
const SHORT = 16; // rows

function carded(table) {
  const rows = [...table.tBodies].reduce((count, body) => count + body.rows.length, 0);
  if (!table.tHead || rows > SHORT || table.scrollWidth <= table.parentElement.clientWidth) return;
  table.classList.remove("numbers");
  table.classList.add("words");
}

/* Tables of notebooks: numbers are aligned to the right and words to the left, with their heads. */
const NUMBERS = /^(–|nan|[-−+]?\d[\d.,]*( ?%)?( \([-−+]?\d[\d.,]* to [-−+]?\d[\d.,]*\))?)$/;

function aligned(table) {
  const columns = []; // the cells of each column, those that span rows in each of them
  for (const body of table.tBodies) [...body.rows].forEach((row, number) => {
    let column = 0;
    for (const cell of row.cells) {
      while (columns[column]?.[number]) column += 1;
      for (let down = 0; down < cell.rowSpan; down += 1) (columns[column] ??= [])[number + down] = cell;
      column += 1;
    }
  });
  const kinds = columns.map((cells) => {
    const texts = cells.map((cell) => cell.textContent.trim()).filter(Boolean);
    return texts.length && texts.every((text) => NUMBERS.test(text)) ? "number" : "word";
  });
  columns.forEach((cells, column) => cells.forEach((cell) => cell.classList.add(kinds[column])));
  for (const row of table.tHead?.rows ?? []) {
    let column = 0;
    for (const cell of row.cells) {
      cell.classList.add(cell.colSpan > 1 ? "word" : kinds[column] ?? "word");
      column += cell.colSpan;
    }
  }
}

/* The box below the title: on a phone its first line stands for the rest, which unfolds. */
function folded(stamp) {
  const [first, ...rest] = stamp.children;
  if (!rest.length) return;
  const details = document.createElement("details");
  details.appendChild(document.createElement("summary")).append(...first.childNodes);
  details.append(...rest);
  stamp.replaceChildren(details);
}

/* Wide boxes say that they scroll, and can be scrolled by keys. */
function scrolls(box) {
  const look = () => {
    if (getComputedStyle(box).overflowX === "visible") return;
    const hidden = box.scrollWidth - box.clientWidth;
    box.classList.toggle("overflows", hidden > 1);
    box.classList.toggle("more", hidden - box.scrollLeft > 1);
    if (hidden > 1) box.tabIndex = 0; else box.removeAttribute("tabindex");
  };
  new ResizeObserver(look).observe(box);
  box.addEventListener("scroll", look, {passive: true});
}

/* Tables: a click on a button in the head sorts each block of rows by that column. */
function sortable(table) {
  const bodies = [...table.tBodies];
  const buttons = [...table.tHead.querySelectorAll("button")];
  buttons.forEach((button, number) => button.addEventListener("click", () => {
    const cell = button.closest("th");
    const falling = cell.getAttribute("aria-sort") !== "descending";
    for (const other of buttons) other.closest("th").removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const first = table.classList.contains("table1") ? 1 : 0; // the method stands before the columns that sort
    const value = (row) => row.cells[number + first].dataset.value ?? "";
    const order = (one, other) => {
      if (value(one) === "" || value(other) === "") return (value(one) === "") - (value(other) === "");
      return (falling ? -1 : 1) * (value(one) - value(other));
    };
    const words = (one, other) => (falling ? 1 : -1) * one.cells[number].textContent.localeCompare(other.cells[number].textContent);
    for (const body of bodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("block"));
      rows.sort(rows.some((row) => value(row) !== "") ? order : words).forEach((row) => body.append(row));
    }
  }));
}

/* Search results: the sentence around the first word that was found, from a file that only the search page reads. */
function context() {
  const words = new URLSearchParams(location.search).get("q")?.toLowerCase().split(/\s+/).filter(Boolean) ?? [];
  const list = document.querySelector("#search-results");
  if (!list || !words.length || !window.bookText) return;
  const add = (item) => {
    const link = item.querySelector("a");
    if (!link || item.querySelector(".context")) return;
    const page = decodeURI(new URL(link.href).pathname.split("/_build/html/").pop().replace(/^\//, ""));
    const key = Object.keys(window.bookText).find((name) => page.endsWith(`${name}.html`));
    const text = window.bookText[key] ?? "";
    const place = Math.max(0, ...words.map((word) => text.toLowerCase().indexOf(word)));
    const shown = item.appendChild(document.createElement("p"));
    shown.className = "context";
    const start = Math.max(0, text.lastIndexOf(" ", Math.max(0, place - 80)));
    shown.textContent = text ? `… ${text.slice(start, place + 160).trim()} …` : "";
  };
  new MutationObserver(() => list.querySelectorAll("li").forEach(add)).observe(list, {childList: true, subtree: true});
  list.querySelectorAll("li").forEach(add);
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".points").forEach(answer);
  if (matchMedia("(max-width: 40rem)").matches) {
    document.querySelectorAll("div.stamp").forEach(folded);
    document.querySelectorAll(`.pst-scrollable-table-container > table:not(.words, .table1),
      :is(.cell_output, .scrolls) table.numbers:not(.table1)`).forEach(carded);
  }
  document.querySelectorAll("table.words").forEach(headed);
  document.querySelectorAll(".bd-article :is(div.cell_output, div.scrolls) table:not(.words, .table1)").forEach(aligned);
  document.querySelectorAll(`.bd-article :is(figure, pre, div.cell_output, div.output, div.math, div.scrolls,
    .pst-scrollable-table-container)`).forEach(scrolls);
  document.querySelectorAll("table:has(thead button)").forEach(sortable);
  if (document.querySelector("#search-results")) {
    const script = document.head.appendChild(document.createElement("script"));
    script.onload = context;
    script.src = "_static/search_text.js";
  }
});
