"use strict";
// Sliders: two pictures on one another, the left one cut off at the divider.
const pictures = JSON.parse(document.getElementById("pictures").textContent);

for (const figure of document.querySelectorAll(".slider")) {
  const versions = JSON.parse(figure.dataset.versions); // [name, note, number of the picture]
  const stage = figure.querySelector(".stage");
  const range = figure.querySelector("input");
  const shown = { left: Number(figure.dataset.left), right: Number(figure.dataset.right) };

  const cut = () => {
    stage.style.setProperty("--cut", `${range.value}%`);
    const names = ["left", "right"].map((side) => versions[shown[side]][0]);
    const part = Math.round(range.value);
    range.setAttribute("aria-valuetext", `${part} % ${names[0]}, ${100 - part} % ${names[1]}`);
  };

  const show = () => {
    for (const side of ["left", "right"]) {
      const [name, note, number] = versions[shown[side]];
      const image = stage.querySelector(`.${side}`);
      image.src = pictures[number];
      image.alt = `${figure.dataset.image}, ${name}`;
      figure.querySelector(`.said-${side}`).textContent = `${name}\n${note}`;
    }
    cut();
  };

  // A finger or mouse on the picture itself does what the slider does.
  const drag = (event) => {
    const box = stage.getBoundingClientRect();
    range.value = (100 * (event.clientX - box.left)) / box.width;
    cut();
  };
  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    drag(event);
  });
  stage.addEventListener("pointermove", (event) => {
    if (stage.hasPointerCapture(event.pointerId)) drag(event);
  });
  stage.addEventListener("dragstart", (event) => event.preventDefault());
  range.addEventListener("input", cut);

  for (const select of figure.querySelectorAll("select")) {
    select.addEventListener("change", () => {
      if ("size" in select.dataset) {
        figure.style.setProperty("--size", select.value);
        figure.classList.toggle("enlarged", select.value !== "1");
      } else if (select.dataset.side) shown[select.dataset.side] = Number(select.value);
      else [shown.left, shown.right] = select.value.split(",").map(Number);
      show();
    });
    // A browser may keep a choice when the page is loaded again.
    select.dispatchEvent(new Event("change"));
  }
  show();
}
