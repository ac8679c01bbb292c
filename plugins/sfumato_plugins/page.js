// What moves on a review page: pictures that open, wipes, the playable clip. No library, no network.
"use strict";
{
  const each = (selector, act) => document.querySelectorAll(selector).forEach(act);

  // a click shows a picture as large as the window
  const big = document.getElementById("big");
  each("figure img", (image) => {
    if (image.closest(".wipe")) return;
    image.addEventListener("click", () => {
      big.replaceChildren(Object.assign(new Image(), { src: image.src, alt: image.alt }));
      big.classList.add("on");
    });
  });
  big.addEventListener("click", () => big.classList.remove("on"));
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") big.classList.remove("on");
  });

  // wipes: drag on the picture, or the slider
  each(".wipe", (wipe) => {
    const stage = wipe.querySelector(".stage");
    const top = wipe.querySelectorAll("img")[1];
    const edge = wipe.querySelector(".edge");
    const slider = wipe.querySelector("input");
    const set = (percent) => {
      const at = Math.max(0, Math.min(100, percent));
      top.style.clipPath = `inset(0 0 0 ${at}%)`;
      edge.style.left = `${at}%`;
      slider.value = at;
    };
    const follow = (event) => {
      const box = stage.getBoundingClientRect();
      set((100 * (event.clientX - box.left)) / box.width);
    };
    stage.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      stage.setPointerCapture(event.pointerId);
      follow(event);
    });
    stage.addEventListener("pointermove", (event) => {
      if (event.buttons) follow(event);
    });
    slider.addEventListener("input", () => set(Number(slider.value)));
    set(50);
  });

  // the clip: plays to and fro, or round and round
  each(".player", (player) => {
    const data = JSON.parse(document.getElementById("clip").textContent);
    const canvas = player.querySelector("canvas");
    const pen = canvas.getContext("2d");
    const slider = player.querySelector("input");
    const label = player.querySelector(".number");
    const play = player.querySelector(".play");
    const bounce = player.querySelector(".bounce");
    const loaded = {};
    const last = data.frames.length - 1;
    let mode = data.modes[0];
    let at = 0;
    let way = 1;
    let timer = null;

    const pictures = (name) => {
      loaded[name] ||= data.pictures[name].map((source) => {
        const image = new Image();
        image.onload = () => name === mode && draw();
        image.src = `data:image/jpeg;base64,${source}`;
        return image;
      });
      return loaded[name];
    };
    const draw = () => {
      const image = pictures(mode)[at];
      label.textContent = data.frames[at];
      slider.value = at;
      if (!image.complete || !image.naturalWidth) return;
      canvas.width = image.naturalWidth;
      canvas.height = image.naturalHeight;
      pen.drawImage(image, 0, 0);
      const size = Math.max(9, image.naturalHeight / 30);
      const words = data.burn.replace("@", data.frames[at]);
      pen.font = `${size}px Menlo, Consolas, "DejaVu Sans Mono", monospace`;
      pen.fillStyle = "rgba(0, 0, 0, .55)";
      pen.fillRect(0, 0, pen.measureText(words).width + 14, size * 1.7);
      pen.fillStyle = "rgba(255, 255, 255, .9)";
      pen.fillText(words, 7, size * 1.2);
    };
    const step = () => {
      if (bounce.getAttribute("aria-pressed") === "true") {
        if (at + way > last || at + way < 0) way = -way;
        at += way;
      } else {
        at = (at + 1) % (last + 1);
      }
      draw();
    };
    const run = (on) => {
      clearInterval(timer);
      timer = on ? setInterval(step, 1000 / data.rate) : null;
      play.textContent = on ? "Pause" : "Play";
    };
    play.addEventListener("click", () => run(!timer));
    bounce.addEventListener("click", () => {
      bounce.setAttribute("aria-pressed", bounce.getAttribute("aria-pressed") !== "true");
      way = 1;
    });
    slider.addEventListener("input", () => {
      run(false);
      at = Number(slider.value);
      draw();
    });
    player.querySelectorAll("[data-mode]").forEach((button) =>
      button.addEventListener("click", () => {
        mode = button.dataset.mode;
        player.querySelectorAll("[data-mode]").forEach((b) => b.setAttribute("aria-pressed", b === button));
        draw();
      })
    );
    player.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by || event.target === slider) return;
      run(false);
      at = (at + by + last + 1) % (last + 1);
      draw();
    });
    draw();
  });
}
