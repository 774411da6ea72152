package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/analysis/evaluate"
	"actfleet/trainer/coder"
	"actfleet/trainer/probe"
)

// statement is a prompt of a test's data set; what is nil is left out.
type statement struct {
	text                string
	label, group, split any
}

// statements are n prompts about the numbers from first on, four to a group, in splits.
func statements(first, n int, splits ...string) (out []statement) {
	for i := range n {
		k := first + i
		out = append(out, statement{fmt.Sprintf("Among the numbers, %d comes before %d.", k, k+1+i%2), i % 2, fmt.Sprint("g", k/4), splits[i/4%len(splits)]})
	}
	return out
}

// runOf makes a run of statements.
func runOf(t *testing.T, rows []statement, more ...string) string {
	t.Helper()
	var data strings.Builder
	for _, r := range rows {
		m := map[string]any{"text": r.text}
		for name, v := range map[string]any{"label": r.label, "group": r.group, "split": r.split} {
			if v != nil {
				m[name] = v
			}
		}
		line, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&data, "%s\n", line)
	}
	run := filepath.Join(t.TempDir(), "run")
	wantOKHere(t, append([]string{"collect", "--model", tinyModel, "--data", write(t, "data.jsonl", data.String()), "--sites", "resid", "--layers", "3", "--out", run}, more...)...)
	return run
}

// probed fits probes on runs and returns the table and what stderr says.
func probed(t *testing.T, runs string, more ...string) (table evaluate.Table, code int, stderr string) {
	t.Helper()
	code, out, stderr := actfleet(t, append([]string{"train", "probe", "--from", runs, "--site", "resid", "--layers", "3", "--set", "directions=5",
		"--no-codes", "--json", "--out", filepath.Join(t.TempDir(), "probes")}, more...)...)
	if code == exitDone {
		decode(t, out, &table)
	}
	return table, code, stderr
}

func TestProbesOverTwoRuns(t *testing.T) {
	a := runOf(t, statements(0, 48, "train", "val"))
	b := runOf(t, statements(1000, 24, "test"))
	table, code, stderr := probed(t, a+","+b)
	if code != exitDone || table.Splits["test"] != 24 || table.Splits["train"] != 24 || table.GroupBy != "group" || strings.Contains(stderr, "warning") {
		t.Fatalf("exit %d, splits %v: %s", code, table.Splits, stderr)
	}
	words := 0
	for _, line := range table.Baselines {
		if line.Name == evaluate.BaselineWords {
			words++
		}
	}
	if words != 3 {
		t.Errorf("%d baselines of words, though the prompts are there", words)
	}
	if _, code, stderr := probed(t, a+","+a); code != exitDone {
		t.Errorf("the same run twice, its groups whole: exit %d, %s", code, stderr)
	}
	same := statements(1000, 24, "test")
	same[3].text = "among the numbers,  5 comes before 7."
	if _, code, stderr := probed(t, a+","+runOf(t, same)); code != exitError || !strings.Contains(stderr, `share 1 texts, for example "among the numbers, 5`) {
		t.Errorf("a text in two runs: exit %d, %s", code, stderr)
	}
	same = statements(1000, 24, "test")
	same[9].group = "g1"
	if _, code, stderr := probed(t, a+","+runOf(t, same)); code != exitError || !strings.Contains(stderr, `group "g1" has row 4 of `) {
		t.Errorf("a group in two runs: exit %d, %s", code, stderr)
	}
}

// pairedRun makes a run of pairs: a statement that affirms and one that negates.
func pairedRun(t *testing.T, first, pairs int, splits ...string) string {
	t.Helper()
	var data strings.Builder
	for i := range pairs {
		k := first + i
		for polarity, not := range []string{"not ", ""} {
			fmt.Fprintf(&data, `{"text":"The number %d is %sgreater than %d.","label":%d,"group":"g%d","pair":"p%d","polarity":%d,"split":%q}`+"\n",
				k, not, k+1-2*(i%2), (i+polarity+1)%2, k/2, k, polarity, splits[i/2%len(splits)])
		}
	}
	run := filepath.Join(t.TempDir(), "run")
	wantOKHere(t, "collect", "--model", tinyModel, "--data", write(t, "data.jsonl", data.String()), "--sites", "resid", "--layers", "3", "--out", run)
	return run
}

func TestEveryKindOfProbe(t *testing.T) {
	run, dir := pairedRun(t, 100, 60, "train", "train", "val", "test"), filepath.Join(t.TempDir(), "probes")
	kinds := probe.Kinds()
	code, out, stderr := actfleet(t, "train", "probe", "--from", run, "--site", "resid", "--layers", "3", "--set", "directions=5", "--set", "near_duplicates=1",
		"--set", "max_iter=3000", "--set", "l2=[0.1]", "--set", "hidden=3", "--set", "shuffles=1", "--set", "kinds="+strings.Join(kinds, ","), "--json", "--out", dir)
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var table evaluate.Table
	decode(t, out, &table)
	for i, p := range table.Probes {
		if p.Kind != kinds[i] || !p.Converged || !p.Splits["test"].AUROC.Defined() {
			t.Errorf("%s: %+v", kinds[i], p)
		}
	}
	code, out, stderr = actfleet(t, "sql", run, "--json", "select count(score) as n, min(variance_laplace_resid_3) as least from codes_"+idOf(t, dir))
	if code != exitDone || !strings.Contains(out, "120") {
		t.Errorf("codes: exit %d, %s%s", code, out, stderr)
	}
	if _, code, stderr := probed(t, runOf(t, statements(0, 48, "train", "val")), "--set", "kinds=ccs"); code != exitError || !strings.Contains(stderr, `no column "pair" for pair`) {
		t.Errorf("without pairs: exit %d, %s", code, stderr)
	}
}

// idOf is the id of a coder's codes.
func idOf(t *testing.T, dir string) string {
	t.Helper()
	id, err := coder.ID(dir)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// renamed moves a run to another name, which its split has.
func renamed(t *testing.T, run, name string) string {
	t.Helper()
	to := filepath.Join(filepath.Dir(run), name)
	if err := os.Rename(run, to); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestProbesAcrossRuns(t *testing.T) {
	a := renamed(t, pairedRun(t, 100, 48, "train", "train", "val", "test"), "a")
	b := renamed(t, pairedRun(t, 1000, 20, "test"), "b")
	c := renamed(t, runOf(t, statements(140, 40, "train")), "c") // without polarity; groups g35 to g44
	dir := filepath.Join(t.TempDir(), "probes")
	args := []string{"train", "probe", "--site", "resid", "--layers", "3", "--set", "directions=5", "--set", "near_duplicates=1", "--set", "kinds=logistic,ttpd"}
	code, out, stderr := actfleet(t, append(args, "--from", a, "--test", b+","+c, "--out", dir)...)
	for _, want := range []string{"AUROC on other runs", "together", "baseline: ", "calibrated on"} {
		if code != exitDone || !strings.Contains(out, want) {
			t.Fatalf("exit %d, no %q in\n%s%s", code, want, out, stderr)
		}
	}
	table, err := evaluate.ReadTable(dir)
	if err != nil || len(table.Elsewhere) != 2 || table.Splits["b"] != 40 || table.Splits["c"] != 40 || len(table.PlanIDs) != 1 {
		t.Fatalf("%+v, %v", table, err)
	}
	for _, p := range table.Probes {
		if p.Pooled == nil || p.Pooled.N != 80 || !p.Splits["b"].AUROC.Defined() || table.Worst(p) == "" {
			t.Errorf("%+v", p)
		}
	}
	if err := table.Check(); err != nil {
		t.Error(err)
	}
	if code, out, _ := actfleet(t, "sql", b, "--json", "select count(*) as n from codes_"+idOf(t, dir)); code != exitDone || !strings.Contains(out, "40") {
		t.Errorf("scores in the other run: exit %d, %s", code, out)
	}
	if code, _, stderr := actfleet(t, append(args, "--from", a, "--test", a, "--out", dir+"2")...); code != exitDone {
		t.Errorf("measured on itself, but for what was fitted: exit %d, %s", code, stderr)
	}
	if code, _, stderr := actfleet(t, append(args, "--from", a, "--test", renamed(t, c, "val"), "--out", dir+"3")...); code != exitUsage || !strings.Contains(stderr, `called "val"`) {
		t.Errorf("a run called val: exit %d, %s", code, stderr)
	}
}

func TestClaimsOfProbes(t *testing.T) {
	run := pairedRun(t, 100, 60, "train", "train", "val", "test")
	more := []string{"--set", "near_duplicates=1", "--set", "seeds=3", "--set", "shuffles=4", "--set", "kinds=logistic,mass_mean", "--set", "l2=[0.1]"}
	table, code, stderr := probed(t, run, more...)
	if code != exitDone || len(table.Claims) != 1 {
		t.Fatalf("exit %d, %+v, %s", code, table.Claims, stderr)
	}
	if c := table.Claims[0]; c.Split != "test" || c.Declared || c.Cells != 2 || len(c.Seeds) != 3 || c.Against == "" || c.Marked != (c.Why == "") || !c.McNemar.Defined() {
		t.Errorf("%+v", c)
	}
	names := map[string]bool{}
	for _, b := range table.Baselines {
		if b.Split == "test" {
			names[b.Name] = true
		}
	}
	for _, want := range []string{evaluate.BaselineMajority, evaluate.BaselineRandom, evaluate.BaselineWords, evaluate.BaselineNGrams, evaluate.BaselineLength, evaluate.BaselineShuffled, "number of tokens", "last token"} {
		if !names[want] {
			t.Errorf("no baseline %q on test", want)
		}
	}
	table, code, stderr = probed(t, run, append(more, "--set", "primary=mass_mean_resid_3")...)
	if code != exitDone || !table.Claims[0].Declared || table.Claims[0].Probe != "mass_mean_resid_3" || table.Primary != "mass_mean_resid_3" {
		t.Errorf("declared: exit %d, %+v, %s", code, table.Claims, stderr)
	}
	if _, code, stderr := probed(t, run, "--set", "primary=lda_resid_3"); code != exitUsage || !strings.Contains(stderr, `no probe "lda_resid_3" is fitted`) {
		t.Errorf("a primary probe that is not fitted: exit %d, %s", code, stderr)
	}
}

// Where the run holds what the first block reads, that is a baseline.
func TestEmbeddingIsABaseline(t *testing.T) {
	var data strings.Builder
	for i := range 64 {
		fmt.Fprintf(&data, `{"text":"The thing numbered %d is %s","label":%d,"group":"g%d"}`+"\n", i*7, []string{"red", "blue"}[i%2], i%2, i)
	}
	run := filepath.Join(t.TempDir(), "run")
	wantOKHere(t, "collect", "--model", tinyModel, "--data", write(t, "data.jsonl", data.String()), "--sites", "embed,resid", "--layers", "0,3", "--out", run)
	table, code, stderr := probed(t, run, "--set", "near_duplicates=1")
	if code != exitDone || !slices.ContainsFunc(table.Baselines, func(b evaluate.Baseline) bool {
		return b.Name == evaluate.BaselineEmbed && b.Split == "test" && b.AUROC > 0.99
	}) {
		t.Errorf("exit %d, %+v, %s", code, table.Baselines, stderr)
	}
}

func TestTransferBetweenRuns(t *testing.T) {
	a := renamed(t, pairedRun(t, 100, 48, "train", "train", "val", "test"), "a")
	b := renamed(t, pairedRun(t, 1000, 48, "train", "val"), "b")
	dir := filepath.Join(t.TempDir(), "transfer")
	args := []string{"train", "probe", "--site", "resid", "--layers", "3", "--set", "directions=5", "--set", "near_duplicates=1", "--transfer", "--out", dir}
	code, out, stderr := actfleet(t, append(args, "--from", a+","+b)...)
	if code != exitDone || !strings.Contains(out, "fitted on") {
		t.Fatalf("exit %d, %s%s", code, out, stderr)
	}
	x, err := evaluate.ReadTransfer(dir)
	if err != nil || !x.Cells[0][1].AUROC.Defined() || !x.Cells[1][0].AUROC.Defined() || x.Cells[0][1].N != 96 || x.Cells[1][1].Why != "there is no test split" {
		t.Errorf("%+v, %v", x, err)
	}
	if code, _, stderr := actfleet(t, append(args, "--from", a+","+b)...); code != exitError || !strings.Contains(stderr, "holds transfer.json already") {
		t.Errorf("once more: exit %d, %s", code, stderr)
	}
	if code, _, stderr := actfleet(t, append(args, "--from", a+",..")...); code != exitUsage || !strings.Contains(stderr, `would be called ".."`) {
		t.Errorf("a run above: exit %d, %s", code, stderr)
	}
	if code, _, stderr := actfleet(t, append(args, "--from", a)...); code != exitUsage || !strings.Contains(stderr, "two runs or more") {
		t.Errorf("one run: exit %d, %s", code, stderr)
	}
}

func TestGroupsAreNotMissedInSilence(t *testing.T) {
	rows := statements(0, 60, "train", "val", "test")
	run := runOf(t, rows)
	if _, code, stderr := probed(t, run, "--set", "group=gruop"); code != exitError || !strings.Contains(stderr, `no column "gruop" for group; its data has group, label, split; name one with --set group=COLUMN`) {
		t.Errorf("mistyped: exit %d, %s", code, stderr)
	}
	if table, code, stderr := probed(t, run, "--set", "group=row"); code != exitDone || table.GroupBy != "row" || strings.Contains(stderr, "warning") {
		t.Errorf("asked for: exit %d, by %q, %s", code, table.GroupBy, stderr)
	}
	for i := range rows {
		rows[i].group = nil
	}
	rows[40].text = rows[0].text + " Yes." // train and val
	table, code, stderr := probed(t, runOf(t, rows))
	if code != exitError || !strings.Contains(stderr, `no column "group"`) || !strings.Contains(stderr, "nearly stand in") {
		t.Errorf("absent, with a near duplicate: exit %d, %s", code, stderr)
	}
	table, code, stderr = probed(t, runOf(t, rows), "--set", "near_duplicates=1")
	if code != exitDone || table.GroupBy != "row" || len(table.Near) != 1 || table.Near[0].Rows != 1 {
		t.Errorf("accepted: exit %d, %+v, %s", code, table.Near, stderr)
	}
}

func TestLabelsOfProbes(t *testing.T) {
	rows := statements(0, 60, "train", "val", "test")
	for i := range rows {
		rows[i].label = []string{"lie", "honest"}[i%2]
		if rows[i].split == "test" {
			rows[i].label = "honest"
		}
	}
	rows[17].label = nil
	run := runOf(t, rows, "--choices", "no,yes")
	if _, code, stderr := probed(t, run); code != exitError || !strings.Contains(stderr, `60 of 60 rows of column "label"`) || !strings.Contains(stderr, "--label-map") {
		t.Errorf("words: exit %d, %s", code, stderr)
	}
	if _, code, stderr := probed(t, run, "--label-map", "lie=0,honest=1"); code != exitError || !strings.Contains(stderr, "1 of 60 rows") || !strings.Contains(stderr, `row 17: null`) {
		t.Errorf("a gap: exit %d, %s", code, stderr)
	}
	args := []string{"train", "probe", "--from", run, "--site", "resid", "--layers", "3", "--set", "directions=5", "--no-codes",
		"--out", filepath.Join(t.TempDir(), "probes"), "--label-map", "lie=0,honest=1", "--where", "label in (honest, lie)"}
	code, out, stderr := actfleet(t, args...)
	for _, want := range []string{"note: no AUROC on test: one class only: 20 rows of label 1, 0 of label 0", "of the probability)"} {
		if code != exitDone || !strings.Contains(out, want) || strings.Contains(out, "NaN") {
			t.Errorf("one class in test: exit %d, no %q in\n%s%s", code, want, out, stderr)
		}
	}
	if !strings.Contains(stderr, `label: "honest" is 1, "lie" is 0`) {
		t.Errorf("the labels' meaning is not said: %s", stderr)
	}
}

func TestCodersSayWhichHeldOutPromptsAreKnown(t *testing.T) {
	var rows []statement
	for i := range 120 {
		rows = append(rows, statement{text: fmt.Sprintf("%d and %d and %d and %d and %d are numbers", i*7, i*31, i*17, i*13, i*29), group: fmt.Sprint("g", i)})
	}
	for i := range 60 {
		rows = append(rows, statement{text: rows[i].text + " too", group: fmt.Sprint("h", i)})
	}
	train := func(run string) string {
		code, _, stderr := actfleet(t, "train", "sae", "--from", run, "--site", "resid", "--layers", "3", "--out", filepath.Join(t.TempDir(), "sae"),
			"--set", "steps=2", "--set", "width=64", "--set", "k=4", "--set", "batch=64", "--set", "holdout=0.2")
		if code != exitDone {
			t.Fatalf("exit %d, %s", code, stderr)
		}
		return stderr
	}
	if said := train(runOf(t, rows, "--tokens", "all")); !strings.Contains(said, "held-out prompts nearly are prompts of the training (held out by group): ") || !strings.Contains(said, "too\"") {
		t.Errorf("similar prompts: %s", said)
	}
	if said := train(runOf(t, rows[:120], "--tokens", "all")); strings.Contains(said, "nearly") {
		t.Errorf("different prompts: %s", said)
	}
}

func TestChoicesThatTheModelDoesNotSay(t *testing.T) {
	data := write(t, "data.jsonl", "{\"text\": \"The city of Oslo is in\"}\n{\"text\": \"The city of Lima is in\"}\n")
	collect := func(choices string) (answer struct {
		Coverage *float64 `json:"choice_coverage"`
	}, stderr string) {
		code, out, stderr := actfleet(t, "collect", "--model", tinyModel, "--data", data, "--sites", "resid", "--layers", "3", "--choices", choices,
			"--json", "--out", filepath.Join(t.TempDir(), "run"))
		if code != exitDone {
			t.Fatalf("exit %d, %s", code, stderr)
		}
		decode(t, out, &answer)
		return answer, stderr
	}
	answer, said := collect("no,yes")
	if answer.Coverage == nil || *answer.Coverage > 0.1 || !strings.Contains(said, "warning: the choices no,yes hold ") || !strings.Contains(said, " Norway") {
		t.Errorf("coverage %v: %s", answer.Coverage, said)
	}
	if answer, said := collect("Norway,Peru"); answer.Coverage == nil || strings.Contains(said, "warning") {
		t.Errorf("coverage %v: %s", answer.Coverage, said)
	}
}

// Probes on the mean of a prompt's vectors have no codes by row, and encode says so.
func TestProbesOnPositions(t *testing.T) {
	run, dir := runOf(t, statements(0, 60, "train", "val", "test"), "--tokens", "all"), filepath.Join(t.TempDir(), "probes")
	args := []string{"train", "probe", "--from", run, "--site", "resid", "--layers", "3", "--set", "directions=5", "--position", "mean", "--json", "--out", dir}
	code, out, stderr := actfleet(t, args...)
	var table evaluate.Table
	if code != exitDone {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	if decode(t, out, &table); table.Splits["train"]+table.Splits["val"]+table.Splits["test"] != 60 {
		t.Errorf("splits %v", table.Splits)
	}
	if code, _, stderr := actfleet(t, "encode", dir, "--from", run); code != exitError || !strings.Contains(stderr, "read the mean of a prompt's vectors") {
		t.Errorf("encode: exit %d, %s", code, stderr)
	}
	if code, _, stderr := actfleet(t, append(args[:len(args)-1], dir+"2", "--position", "first")...); code != exitUsage || !strings.Contains(stderr, "must be last or mean or max") {
		t.Errorf("a position that is none: exit %d, %s", code, stderr)
	}
}
