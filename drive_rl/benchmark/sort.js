for (const button of document.querySelectorAll("th button")) button.addEventListener("click", () => {
  const head = button.closest("th"), body = head.closest("table").tBodies[0], column = head.cellIndex;
  const down = head.getAttribute("aria-sort") !== "descending";
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = (row) => { const cell = row.cells[column]; return cell ? cell.dataset.sort ?? cell.textContent.replace("−", "-") : ""; };
  const order = (a, b) => {
    const x = value(a), y = value(b);
    if (x === "" || y === "") return (x === "") - (y === "");
    const apart = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
    return down ? -apart : apart;
  };
  body.append(...[...body.rows].sort(order));
});
