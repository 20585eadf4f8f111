for (const [name, figure] of Object.entries(figures)) {
  Plotly.newPlot(name, figure.data, { ...figure.layout, autosize: true }, config);
}

// plotly.js does not notice the width of paper: draw at that of A4 under the style sheet's zoom, and back.
const plots = () => Object.keys(figures).map((name) => document.getElementById(name));
addEventListener("beforeprint", () => {
  for (const plot of plots()) Plotly.relayout(plot, { width: plot.closest(".pair") ? 415 : 870 });
});
addEventListener("afterprint", () => {
  for (const plot of plots()) Plotly.relayout(plot, { width: null, autosize: true });
});

document.querySelectorAll("table.trials button.sort").forEach((button) => {
  button.addEventListener("click", () => {
    const heading = button.closest("th");
    const body = button.closest("table").tBodies[0];
    const descending = heading.getAttribute("aria-sort") === "ascending";
    const value = (row) => row.cells[heading.cellIndex].dataset.value;
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return descending ? -order : order;
    });
    for (const other of heading.parentElement.cells) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    body.append(...rows);
  });
});
