package report

import (
	"bytes"
	"flag"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"actfleet/analysis/evaluate"
	"actfleet/trainer/coder"
)

var (
	update = flag.Bool("update", false, "rewrite the golden files")
	keep   = flag.String("keep", "", "also write the large page to this file")
)

func render(t testing.TB, r Report) string {
	t.Helper()
	var b bytes.Buffer
	must(t, Write(&b, r))
	return b.String()
}

func TestGolden(t *testing.T) {
	got := render(t, fixture(t, smallDims))
	const golden = "testdata/report.golden.html"
	if *update {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if got != string(want) {
		t.Errorf("the page differs from %s; look at it and run with -update\n%s", golden, firstDifference(got, string(want)))
	}
}

func TestIsPage(t *testing.T) {
	if page := render(t, fixture(t, smallDims)); !IsPage([]byte(page[:1024])) || !IsPage([]byte(render(t, Report{})[:1024])) {
		t.Error("a page is not recognised by its first bytes")
	}
	for _, other := range []string{"", "PAR1", "<!doctype html><title>actfleet report</title>"} {
		if IsPage([]byte(other)) {
			t.Errorf("%q counts as a page", other)
		}
	}
}

func firstDifference(a, b string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	from := max(0, i-80)
	return "got  …" + a[from:min(len(a), i+120)] + "\nwant …" + b[from:min(len(b), i+120)]
}

func TestPageIsSelfContained(t *testing.T) {
	page := render(t, fixture(t, smallDims))
	for _, pattern := range []string{`(?i)<link`, `(?i)\bsrc=`, `(?i)url\(`, `(?i)@import`, `href="[^#]`, `(?i)https?://[^w]`} {
		if m := regexp.MustCompile(pattern).FindString(page); m != "" {
			t.Errorf("the page refers to something outside itself: %q", m)
		}
	}
	for _, section := range []string{"runs", "probes-0", "tradeoff-0", "tradeoff-1", "curves-sae-0", "curves-vq-0", "densities-0", "latents-0", "fleet-0", "norms-0", "reproduce"} {
		if !strings.Contains(page, `id="`+section+`"`) || !strings.Contains(page, `href="#`+section+`"`) {
			t.Errorf("section %s or its link is missing", section)
		}
	}
}

func TestHostileTextIsEscaped(t *testing.T) {
	r := fixture(t, smallDims)
	evil := `"><script>alert(1)</script>'`
	r.Title, r.Runs[0].Model, r.Commands, r.Notes = evil, evil, []string{evil}, []string{evil}
	r.Timelines[0].Nodes[0].Name, r.Timelines[0].Nodes[0].Host = evil, evil
	r.Coders[0].Name, r.Coders[0].Kind = evil, evil
	r.Probes[0].Probes[0].Kind, r.Probes[0].Probes[0].Site = evil, evil
	r.Norms[0].Columns[0].Site = evil
	r.Coders[1].Site, r.Coders[2].Site = evil, evil
	r.Coders[0].Eval.Latents[0].Top[0] = coder.Context{Value: 1, Before: evil, Token: evil, After: evil}
	if strings.Contains(render(t, r), "<script>alert") {
		t.Error("a name became markup")
	}
}

func TestEmptyReport(t *testing.T) {
	page := render(t, Report{})
	if strings.Contains(page, "<section") || !strings.Contains(page, "<h1>actfleet report</h1>") {
		t.Error("an empty report has sections")
	}
}

func TestUnsoundNumbersAreWithheld(t *testing.T) {
	r := fixture(t, smallDims)
	r.Probes[0].Baselines = nil
	page := render(t, r)
	if !strings.Contains(page, "Numbers are withheld: split &#34;test&#34; has no majority baseline") {
		t.Error("the reason is missing")
	}
	if strings.Contains(page, "AUROC on test") {
		t.Error("a heat map without baselines")
	}
}

func TestUnconvergedCellHasNoNumber(t *testing.T) {
	r := fixture(t, smallDims)
	c := drawHeatMap(r.Probes[0].Probes[:len(r.Probes[0].Probes)/2], "test", "")
	withheld := 0
	for _, b := range c.texts {
		if b.text == "n. c." {
			withheld++
		}
	}
	if withheld != 1 {
		t.Errorf("%d cells withheld, want 1", withheld)
	}
}

// Labels must not overlap, whatever the size of the data.
func TestLabelsNeverOverlap(t *testing.T) {
	for _, d := range []dims{smallDims, largeDims, {1, 1, 1, 1}, {80, 40, 4000, 30}} {
		r := fixture(t, d)
		for i, c := range drawings(r) {
			for j, a := range c.texts {
				for _, b := range c.texts[j+1:] {
					if a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1 {
						t.Errorf("%+v: drawing %d (%s): %q overlaps %q", d, i, c.label, a.text, b.text)
					}
				}
				if a.x0 < 0 || a.x1 > c.width || a.y0 < 0 || a.y1 > c.height {
					t.Errorf("%+v: drawing %d (%s): %q stands outside", d, i, c.label, a.text)
				}
			}
		}
	}
}

func drawings(r Report) []*canvas {
	out := []*canvas{drawTimeline(r.Timelines[0]), drawNorms(r.Norms[0])}
	for _, t := range tradeoffs {
		out = append(out, t.drawings(r.Coders, map[int]bool{})...)
	}
	for i, c := range r.Coders {
		if c.Eval.Densities != nil {
			out = append(out, drawDensity(c, i))
		}
	}
	for _, m := range metricsOf(r.Coders) {
		out = append(out, drawPanel(r.Coders, m))
	}
	for _, split := range r.Probes[0].SplitNames() {
		out = append(out, drawStrip(marksOf(r.Probes[0].Table, split), split))
		out = append(out, drawHeatMap(r.Probes[0].Probes[:len(r.Probes[0].Probes)/2], split, ""))
	}
	return out
}

func TestContrast(t *testing.T) {
	for name, c := range map[string]struct {
		theme theme
		card  string
	}{"light": {light, "#ffffff"}, "dark": {dark, "#1b2027"}} {
		for _, fill := range append(c.theme.above[:], c.theme.below[:]...) {
			if ratio := contrast(c.theme.inkOn(fill), fill); ratio < 4.5 {
				t.Errorf("%s: text on %s has a contrast of %.1f", name, fill, ratio)
			}
		}
		for _, line := range c.theme.series {
			if ratio := contrast(line, c.card); ratio < 3 {
				t.Errorf("%s: line %s has a contrast of %.1f", name, line, ratio)
			}
		}
	}
}

func TestOpensInBrowser(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report.html")
	page := render(t, fixture(t, largeDims))
	must(t, os.WriteFile(path, []byte(page), 0o644))
	if *keep != "" {
		must(t, os.WriteFile(*keep, []byte(page), 0o644))
	}
	browser, err := exec.LookPath("chromium")
	if err != nil || testing.Short() {
		t.Skip("no chromium, or short")
	}
	shot := filepath.Join(dir, "shot.png")
	cmd := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+dir, "--window-size=1280,2000", "--screenshot="+shot, "--dump-dom", "file://"+path)
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("chromium does not run here: %v", err)
	}
	if !strings.Contains(string(out), `id="tip"`) {
		t.Error("the script did not run")
	}
}

func TestNotesOfASweepAreShown(t *testing.T) {
	r := fixture(t, smallDims)
	low := evaluate.Value(4e-7)
	table := &r.Probes[0].Table
	table.GroupBy = evaluate.UngroupedBy
	table.Near = []evaluate.NearLeak{{Split: "test", Other: "train", Rows: 2, Of: 300}}
	for i, b := range table.Baselines {
		if b.Name == evaluate.BaselineModel {
			table.Baselines[i].Coverage = &low
		}
	}
	for _, p := range table.Probes {
		m := p.Splits["test"]
		m.AUROC, m.AUROCLo, m.AUROCHi, m.Why = evaluate.Value(math.NaN()), evaluate.Value(math.NaN()), evaluate.Value(math.NaN()), "one class only: 9 rows of label 1, 0 of label 0"
		p.Splits["test"] = m
	}
	page := render(t, r)
	for _, want := range []string{"no groups: each prompt", "2 of the 300 rows of &#34;test&#34;", "the choices hold 4e-07 of the probability", "coverage 4e-07", "no AUROC on test: one class only"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
