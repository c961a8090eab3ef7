"use strict";

// Draws the charts of `report/charts.py` with plotly; colours are custom properties where a chart stands.
const colour = (place, name) => getComputedStyle(place).getPropertyValue(name).trim();

// Plotly reads a little HTML in names; here they are text.
const text = name => name.replace(/&/g, "&amp;").replace(/</g, "&lt;");

const faded = (hex, alpha) => `rgba(${[1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16)).join(",")},${alpha})`;

// A running mean that weighs its start correctly (Kingma & Ba 2015, section 3); gaps stay gaps.
function smoothed(values, past) {
  let sum = 0, weight = 0;
  return values.map(value => {
    if (value === null) return null;
    sum = past * sum + (1 - past) * value;
    weight = past * weight + (1 - past);
    return sum / weight;
  });
}

// One curve, as the traces that plotly draws for it.
function traces(place, chart, line, number, past) {
  const own = colour(place, `--line-${number % 8}`);
  const few = line.x.length <= 30;
  const curve = {
    x: line.x, y: line.y, name: text(line.name), legendgroup: String(number), type: "scatter",
    mode: few ? "lines+markers" : "lines", line: { color: own, width: 2 }, marker: { size: 5 },
    hovertemplate: "%{y:.4g}",
  };
  if (chart.smooth && past > 0) {
    const raw = {
      ...curve, mode: "lines", line: { color: faded(own, 0.3), width: 1 }, showlegend: false, hoverinfo: "skip",
      hovertemplate: null,
    };
    return [raw, { ...curve, mode: "lines", y: smoothed(line.y, past) }];
  }
  if (!line.low.some(value => value !== null)) return [curve];
  if (chart.spread === "bars") {
    const length = (ends, sign) => ends.map((end, at) => end === null ? 0 : sign * (end - line.y[at]));
    const bars = { type: "data", array: length(line.high, 1), arrayminus: length(line.low, -1), symmetric: false };
    return [{ ...curve, error_y: { ...bars, thickness: 1.5, width: 3 } }];
  }
  // Where no interval is known the band goes on to the next: a fill between curves with gaps goes astray.
  const known = values => values.filter((_, at) => line.low[at] !== null);
  const edge = {
    x: known(line.x), legendgroup: String(number), type: "scatter", mode: "lines", line: { width: 0 }, showlegend: false,
    hoverinfo: "skip",
  };
  const band = { ...edge, y: known(line.high), fill: "tonexty", fillcolor: faded(own, 0.2) };
  return [{ ...edge, y: known(line.low) }, band, curve];
}

function draw(place, chart, past) {
  const axis = { gridcolor: colour(place, "--line"), linecolor: colour(place, "--line"), zeroline: false, automargin: true };
  const layout = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 10, r: 10, t: 10, b: 10 },
    hovermode: "x unified", uirevision: "keep",
    font: { color: colour(place, "--text"), size: 12, family: "system-ui, sans-serif" },
    hoverlabel: { bgcolor: colour(place, "--raised"), font: { color: colour(place, "--text") } },
    // A finger that drags scrolls the page.
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    showlegend: chart.lines.length > 1,
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour(place, "--quiet"), activecolor: colour(place, "--text") },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    xaxis: { ...axis, title: { text: "step" }, rangemode: "tozero" },
    yaxis: {
      ...axis, title: { text: text(chart.unit) }, type: chart.logarithmic ? "log" : "linear",
      rangemode: chart.from_zero ? "tozero" : "normal",
    },
  };
  const lines = chart.lines.flatMap((line, number) => traces(place, chart, line, number, past));
  const buttons = matchMedia("(hover: hover)").matches ? [["toImage", "resetScale2d"]] : [[]];
  Plotly.react(place, lines, layout, { responsive: true, displaylogo: false, modeBarButtons: buttons });
}
