package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store/local"
)

// oneWeight copies the shipped model and changes the last weight of its file.
func oneWeight(t *testing.T) string {
	t.Helper()
	dir := copyTiny(t)
	path := filepath.Join(dir, "model.safetensors")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[len(data)-2:], []byte{0x00, 0x3c}) // 1 in F16, of a value projection in the last layer
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A node with one changed weight is refused: when it takes the plan from the run, by the model's digest; when it brings
// its own, by the difference; and by the fleet when it works on a run of its own, with a line on both sides.
func TestChangedWeightIsRefused(t *testing.T) {
	t.Parallel()
	run, other := filepath.Join(t.TempDir(), "run"), oneWeight(t)
	a := startNode(t, run, "--bind", "127.0.0.1:0")
	seed := a.address(t, run)
	a.signal(t, syscall.SIGUSR1) // the run must not end before the test
	joins := []string{"collect", "--model", other, "--threads", "1", "--join", seed, "--out"}
	wantRefusal(t, exitError, []string{other, "(digest ", "is not the plan's"}, append(joins, run)...)
	wantRefusal(t, exitError, []string{"holds another plan", "model.digest: "}, append(append(joins, run), nodeFlags...)...)
	wantRefusal(t, exitError, []string{"another plan", seed, "this node on plan"}, append(append(joins, filepath.Join(t.TempDir(), "own")), nodeFlags...)...)
	until(t, "the fleet tells of whom it refused", func() bool { return strings.Contains(a.err.String(), "refused a node") }, a)
	a.stop(t)
}

// A shard that was forged from a node with one changed weight is found out by the honest node that made the unit, too:
// its error and check name the SHA-256 of both shards, and what the honest node made is kept beside the run's until a person
// deletes the wrong one.
func TestDivergingDuplicate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	whole, forged := filepath.Join(dir, "run"), filepath.Join(dir, "forged")
	collect := func(model, out string) *process {
		return start(t, "collect", "--model", model, "--data", tinyData, "--limit", "800", "--tokens", "all",
			"--sites", "Wqkv", "--layers", "3", "--dtype", "f32", "--threads", "1", "--out", out)
	}
	bad := collect(oneWeight(t), forged)
	if code := bad.wait(t); code != exitDone {
		t.Fatalf("exit %d: %s", code, bad.err.String())
	}
	a := collect(tinyModel, whole)
	unit := forge(t, a, whole, forged)
	if code := a.wait(t); code != exitError {
		t.Fatalf("the honest node ended with %d: %s", code, a.err.String())
	}
	kept, _ := filepath.Glob(filepath.Join(whole, "diverged", fmt.Sprintf("unit-%06d-*.parquet", unit)))
	if len(kept) != 1 {
		t.Fatalf("kept %v: %s", kept, a.err.String())
	}
	code, found, _ := actfleet(t, "check", whole)
	if code != exitDamage {
		t.Errorf("check ends with %d", code)
	}
	said := regexp.MustCompile("(?m)^actfleet: .*$").FindAllString(a.err.String(), -1)
	if len(said) != 1 || !strings.Contains(said[0], "Σ‖x‖²") {
		t.Fatalf("want one line, got %s", a.err.String())
	}
	st, err := local.New(whole)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{run.UnitKey(unit), "diverged/" + filepath.Base(kept[0])} {
		sum, err := run.Digest(t.Context(), st, key)
		if err != nil || !strings.Contains(said[0], sum) || !strings.Contains(found, sum) {
			t.Errorf("%s, SHA-256 %s, %v: not named by the node (%s) or check (%s)", key, sum, err, said[0], found)
		}
	}

	again := collect(tinyModel, whole)
	if code := again.wait(t); code != exitDone || strings.Count(again.err.String(), "a unit is disputed") != 1 {
		t.Errorf("finishing the disputed run ended with %d: %s", code, again.err.String())
	}
	for _, key := range []string{run.UnitKey(unit), run.KeyManifest} { // what a person does then
		if err := st.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	again = collect(tinyModel, whole)
	if code := again.wait(t); code != exitDone || strings.Contains(again.err.String(), "disputed") {
		t.Errorf("making the unit anew ended with %d: %s", code, again.err.String())
	}
	wantOK(t, "check", whole)
}

// forge puts a shard of the run forged, under the plan of the node's run, where the node is about to commit its own. It
// returns the unit.
func forge(t *testing.T, p *process, whole, forged string) int {
	t.Helper()
	for range 100 {
		claims := p.count(t, whole, "claim")
		until(t, "another claim", func() bool { return p.count(t, whole, "claim") > claims }, p)
		p.signal(t, syscall.SIGSTOP)
		unit := -1
		for _, e := range p.events(t, whole) {
			if e.Event == "claim" {
				unit = *e.Unit
			}
		}
		if _, err := os.Stat(filepath.Join(whole, filepath.FromSlash(run.UnitKey(unit)))); err != nil {
			reissue(t, forged, whole, unit)
			p.signal(t, syscall.SIGCONT)
			return unit
		}
		p.signal(t, syscall.SIGCONT)
	}
	t.Fatal("the node was always faster")
	return -1
}

// reissue copies a unit's shard from one run to another as if it were made for that one's plan.
func reissue(t *testing.T, from, to string, unit int) {
	t.Helper()
	src, err := local.New(from)
	if err != nil {
		t.Fatal(err)
	}
	dst, err := local.New(to)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := run.ReadPlan(t.Context(), dst)
	if err != nil {
		t.Fatal(err)
	}
	r, err := shard.Open(t.Context(), src, run.UnitKey(unit))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	out, err := dst.Create(t.Context(), run.UnitKey(unit))
	if err != nil {
		t.Fatal(err)
	}
	w, err := shard.NewWriter(out, r.Schema(), shard.Identity{PlanID: plan.ID(), Unit: unit})
	if err != nil {
		t.Fatal(err)
	}
	for g := range r.NumGroups() {
		if err := w.WriteBlock(blockOf(t, r, g)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := out.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// blockOf reads a whole row group.
func blockOf(t *testing.T, r *shard.Reader, g int) *shard.Block {
	t.Helper()
	s := r.Schema()
	b := &shard.Block{Rows: r.GroupRows(g)}
	var names []string
	for _, c := range s.Scalars {
		names = append(names, c.Name)
	}
	var err error
	if b.Scalars, err = r.Scalars(g, names...); err != nil {
		t.Fatal(err)
	}
	for col := range s.Vectors {
		raw, err := r.Vector(g, col, nil)
		if err != nil {
			t.Fatal(err)
		}
		b.Vectors = append(b.Vectors, append([]byte(nil), raw...))
	}
	b.Measure(s)
	return b
}
