// The pictures of the timeline: the slider shows one and hides the others.
function followStep() {
  const slider = document.getElementById("step");
  if (!slider) return;
  const pictures = [...document.querySelectorAll("#timeline img")];
  const shown = document.getElementById("shown-step");
  const show = () => {
    pictures.forEach((picture, place) => { picture.hidden = place !== Number(slider.value); });
    const step = pictures[slider.value].dataset.step;
    shown.textContent = Number(step).toLocaleString("en");
    slider.setAttribute("aria-valuetext", `step ${step}`);
  };
  slider.addEventListener("input", show);
  show();  // a reloaded page may keep the slider's place
}

// plotly.js is packed in the page; a script element runs what comes out.
async function loadPlotly() {
  const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), c => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.nonce = document.querySelector("script[nonce]").nonce;
  script.textContent = await new Response(stream).text();
  document.head.append(script);
}

async function drawCharts() {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  if (!charts.length) return;
  try {
    await loadPlotly();
  } catch (problem) {
    document.getElementById("no-curves").hidden = false;
    return;
  }
  const smoothing = document.getElementById("smoothing");
  const past = () => smoothing ? Number(smoothing.value) : 0;
  const tell = () => { document.getElementById("smoothing-value").textContent = smoothing.value; };
  const places = [...document.querySelectorAll(".plot")];
  const drawAll = wanted => places.forEach(place => {
    const chart = charts[place.dataset.chart];
    if (wanted(chart)) draw(place, chart, past());
  });
  drawAll(() => true);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll(() => true));
  if (!smoothing) return;
  tell();  // a reloaded page may keep this slider's place too
  smoothing.addEventListener("input", () => {
    tell();
    drawAll(chart => chart.smooth);
  });
}

followStep();
drawCharts();
