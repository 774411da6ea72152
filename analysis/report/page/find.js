// The list of latents can be read without this script: it adds a field that filters it.
for (const section of document.querySelectorAll(".browser")) {
  const rows = [...section.querySelectorAll("details")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const field = document.createElement("input");
  field.type = "search"; field.placeholder = "a token, a word or a latent's number";
  field.setAttribute("aria-label", "filter the latents");
  const found = document.createElement("output");
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase().trim();
    let n = 0;
    rows.forEach((row, i) => {
      const match = /^\d+$/.test(wanted) ? row.querySelector("b").textContent === wanted : texts[i].includes(wanted);
      row.hidden = !match;
      if (match) n++;
    });
    found.textContent = wanted ? n + " of " + rows.length : "";
  });
  const list = section.querySelector(".latents");
  list.before(field, found);
}
