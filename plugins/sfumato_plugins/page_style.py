"""How a review page looks and what its buttons do. Neutral grey, so that nothing on it tints the pictures."""

STYLE = """
:root { --paper: #1b1b1b; --card: #242424; --line: #343434; --ink: #d6d6d6; --quiet: #8d8d8d; --mark: #d8a24a; }
* { box-sizing: border-box; }
html { background: var(--paper); color: var(--ink); font: 15px/1.5 "Inter", "Segoe UI", "Helvetica Neue", Arial, sans-serif;
  scroll-behavior: smooth; }
body { max-width: 1560px; margin: 0 auto; padding: 28px 32px 80px; }
h1 { font-size: 26px; font-weight: 600; letter-spacing: -.01em; margin: 0; }
h2 { font-size: 13px; font-weight: 600; letter-spacing: .09em; text-transform: uppercase; color: var(--quiet);
  margin: 52px 0 14px; }
h3 { font-size: 19px; font-weight: 600; margin: 0 0 2px; }
p { margin: 4px 0; } a { color: inherit; }
.quiet { color: var(--quiet); }
.facts { display: flex; flex-wrap: wrap; gap: 4px 26px; margin: 10px 0 22px; color: var(--quiet); font-size: 13.5px; }
.facts b { color: var(--ink); font-weight: 500; }
.grid { display: grid; gap: 14px; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); }
.hero { grid-template-columns: repeat(4, 1fr); }
@media (max-width: 1100px) { .hero { grid-template-columns: repeat(2, 1fr); } }
figure { margin: 0; position: relative; background: #000; border-radius: 3px; overflow: hidden; }
figure img { display: block; width: 100%; height: auto; cursor: zoom-in; }
figcaption { position: relative; background: var(--card); padding: 6px 10px 7px; font-size: 13px; color: var(--ink); }
figcaption small { color: var(--quiet); font-size: 12px; margin-left: 8px; }
figure .burn { position: absolute; left: 0; right: 0; top: 0; padding: 3px 8px 12px; pointer-events: none;
  font: 10.5px/1.4 "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; color: rgba(255,255,255,.86);
  background: linear-gradient(rgba(0,0,0,.62), rgba(0,0,0,0)); white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.chips { display: flex; flex-wrap: wrap; gap: 10px; }
.chip { display: block; background: var(--card); border: 1px solid var(--line); border-left: 3px solid var(--mark);
  border-radius: 3px; padding: 8px 14px; text-decoration: none; }
.chip:hover { border-color: var(--mark); } .chip b { font-size: 17px; font-weight: 600; display: block; }
.chip span { color: var(--quiet); font-size: 13px; }
.detail { border-top: 1px solid var(--line); padding-top: 22px; margin-top: 34px; }
.detail .grid { margin-top: 14px; }
.crops { display: flex; flex-direction: column; gap: 12px; margin-top: 14px; }
.crop { display: flex; flex-wrap: wrap; gap: 8px; align-items: end; }
.crop figure { width: max-content; } .crop img { width: auto; image-rendering: pixelated; }
.crop p { width: 128px; font-size: 13px; color: var(--quiet); margin: 0 6px 0 0; }
.sub { margin: 26px 0 0; font-size: 14px; color: var(--ink); font-weight: 600; }
.player { background: var(--card); border-radius: 3px; padding: 12px; max-width: 1010px; }
.player canvas { display: block; width: 100%; background: #000; border-radius: 2px; }
.bar { display: flex; gap: 10px; align-items: center; margin-top: 10px; font-size: 13px; }
button { font: inherit; font-size: 13px; color: var(--ink); background: #303030; border: 1px solid #444; border-radius: 3px;
  padding: 4px 13px; cursor: pointer; } button:hover { border-color: #777; }
button[aria-pressed=true] { background: var(--mark); border-color: var(--mark); color: #191919; }
button:focus-visible, a:focus-visible, input:focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
input[type=range] { flex: 1; accent-color: var(--mark); }
.number { min-width: 58px; font-variant-numeric: tabular-nums; text-align: right; }
.wipes { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(460px, 1fr)); margin-top: 14px; }
.wipe { position: relative; } .wipe figure img + img { position: absolute; inset: 0; }
.wipe .edge { position: absolute; top: 0; bottom: 0; width: 1px; background: var(--mark); pointer-events: none; }
.wipe .stage { position: relative; cursor: ew-resize; } .wipe .stage img { cursor: ew-resize; }
.plots { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(460px, 1fr)); }
.plot { background: var(--card); border-radius: 3px; padding: 10px 12px 4px; } .plot svg { display: block; width: 100%; }
.plot text { fill: var(--quiet); font-size: 11px; font-variant-numeric: tabular-nums; } .plot .title { fill: var(--ink); font-size: 12.5px; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; } th { text-align: right; font-weight: 500; color: var(--quiet); } td { text-align: right; }
th, td { padding: 4px 14px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; } tr.first td:first-child { color: var(--mark); font-weight: 600; }
#big { position: fixed; inset: 0; background: #111; display: none; z-index: 9; cursor: zoom-out; overflow: auto; }
#big.on { display: grid; place-items: center; } #big img { max-width: 100vw; max-height: 100vh; min-width: 60vw; object-fit: contain; }
@media print { html { background: #fff; color: #000; } .player, .bar { display: none; } }
"""

SCRIPT = """
"use strict";
const each = (s, f) => document.querySelectorAll(s).forEach(f);
const big = document.getElementById("big");
each("figure img", i => { if (!i.closest(".wipe")) i.addEventListener("click", () => {
  big.replaceChildren(Object.assign(new Image(), {src: i.src, alt: i.alt})); big.classList.add("on"); }); });
big.addEventListener("click", () => big.classList.remove("on"));
addEventListener("keydown", e => { if (e.key === "Escape") big.classList.remove("on"); });
each(".wipe", w => {
  const stage = w.querySelector(".stage"), top = w.querySelectorAll("img")[1], edge = w.querySelector(".edge"),
    bar = w.querySelector("input");
  const set = v => { v = Math.max(0, Math.min(100, v)); top.style.clipPath = `inset(0 0 0 ${v}%)`; edge.style.left = v + "%"; bar.value = v; };
  const move = e => { const b = stage.getBoundingClientRect(); set(100 * (e.clientX - b.left) / b.width); };
  stage.addEventListener("pointerdown", e => { e.preventDefault(); stage.setPointerCapture(e.pointerId); move(e); });
  stage.addEventListener("pointermove", e => { if (e.buttons) move(e); });
  bar.addEventListener("input", () => set(+bar.value)); set(50);
});
each(".player", p => {
  const data = JSON.parse(document.getElementById("clip").textContent), canvas = p.querySelector("canvas"),
    pen = canvas.getContext("2d"), bar = p.querySelector("input"), label = p.querySelector(".number"),
    play = p.querySelector(".play"), loaded = {};
  let mode = data.modes[0], at = 0, timer = null, way = 1;
  const pictures = m => loaded[m] ||= data.pictures[m].map(s => { const i = new Image(); i.onload = () => { if (m === mode) draw(); };
    i.src = "data:image/jpeg;base64," + s; return i; });
  const draw = () => { const i = pictures(mode)[at]; label.textContent = data.frames[at]; bar.value = at;
    if (!i.complete || !i.naturalWidth) return; canvas.width = i.naturalWidth; canvas.height = i.naturalHeight; pen.drawImage(i, 0, 0);
    const size = Math.max(9, i.naturalHeight / 30), words = data.burn.replace("@", data.frames[at]);
    pen.font = size + "px Menlo, Consolas, 'DejaVu Sans Mono', monospace"; pen.fillStyle = "rgba(0,0,0,.55)";
    pen.fillRect(0, 0, pen.measureText(words).width + 14, size * 1.7); pen.fillStyle = "rgba(255,255,255,.9)"; pen.fillText(words, 7, size * 1.2); };
  const step = () => { if (data.frames.length < 2) return; if (at + way >= data.frames.length || at + way < 0) { if (p.querySelector(".bounce").getAttribute("aria-pressed") === "true") way = -way;
    else at = -1; } at += way; draw(); };
  const toggle = on => { clearInterval(timer); timer = on ? setInterval(step, 1000 / data.rate) : null; play.textContent = on ? "Pause" : "Play"; };
  play.addEventListener("click", () => toggle(!timer));
  p.querySelector(".bounce").addEventListener("click", e => { const b = e.currentTarget, on = b.getAttribute("aria-pressed") !== "true";
    b.setAttribute("aria-pressed", on); if (!on) way = 1; });
  bar.addEventListener("input", () => { toggle(false); at = +bar.value; draw(); });
  p.querySelectorAll("[data-mode]").forEach(b => b.addEventListener("click", () => { mode = b.dataset.mode;
    p.querySelectorAll("[data-mode]").forEach(o => o.setAttribute("aria-pressed", o === b)); draw(); }));
  p.addEventListener("keydown", e => { const d = {ArrowLeft: -1, ArrowRight: 1}[e.key]; if (!d || e.target === bar) return; toggle(false);
    at = (at + d + data.frames.length) % data.frames.length; draw(); });
  draw();
});
"""
