package main

import (
	"path/filepath"
	"strings"
	"testing"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store/local"
)

// acknowledged lets the reader of a ring read some of its units, whose shards are then deleted.
func acknowledged(t *testing.T, dir, reader string, units ...int) {
	t.Helper()
	st, err := local.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := run.ReadPlan(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range units {
		r, err := shard.Open(t.Context(), st, run.UnitKey(u))
		if err != nil {
			t.Fatal(err)
		}
		var read run.Tally
		for g := range r.NumGroups() {
			cols, err := r.Scalars(g, "row", "pos")
			if err != nil {
				t.Fatal(err)
			}
			for i, row := range cols[0].([]int64) {
				read.Add(row, cols[1].([]int32)[i])
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if err := run.Acknowledge(t.Context(), st, run.Ack{Reader: reader, Unit: u, Tally: read}); err != nil {
			t.Fatal(err)
		}
	}
	ring, err := run.LookRing(t.Context(), st, p)
	if err == nil {
		err = ring.Sweep(t.Context(), st)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What cannot read a ring says so in a line, with what to do; what can shows the units that are gone as such.
func TestWhatSeesARing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	wantOK(t, "collect", "--model", tinyModel, "--data", tinyData, "--out", dir, "--sites", "fc2", "--layers", "1", "--limit", "200", "--ring", "1GB", "--readers", "sae-a")
	acknowledged(t, dir, "sae-a", 0, 1)

	if out := wantOK(t, "status", dir); !strings.Contains(out, "committed, 2 of them acknowledged by every reader of the ring and deleted") {
		t.Errorf("status: %s", out)
	}
	if out := wantOK(t, "status", dir, "--json"); !strings.Contains(out, `"gone": 2`) {
		t.Errorf("status: %s", out)
	}
	if out := wantOK(t, "sql", dir, "select outcome, count(*) n from units group by outcome order by outcome desc", "--csv"); !strings.HasPrefix(out, "outcome,n\ngone,2\ncommitted,") {
		t.Errorf("sql: %s", out)
	}
	code, _, said := actfleet(t, "sql", dir, "select count(*) from acts where unit = 1")
	if code != exitDone || strings.Count(said, "\n") != 1 || !strings.Contains(said, "is a ring: the rows of 2 of its") {
		t.Errorf("sql: exit %d, %s", code, said)
	}
	beside := filepath.Join(t.TempDir(), "sae")
	site := []string{"--site", "fc2", "--layers", "1", "--set", "steps=3", "--out"}
	wantOK(t, append(append([]string{"train", "sae", "--from", collected(t, "--sites", "fc2", "--layers", "1"), "--set", "width=64"}, site...), beside)...)
	out := filepath.Join(t.TempDir(), "out")
	other := []string{"is a ring, whose shards are deleted", "--follow --reader NAME", "collect without --ring"}
	for name, tc := range map[string]struct {
		says []string
		args []string
	}{
		"probe":  {other, []string{"train", "probe", "--from", dir, "--site", "fc2", "--layers", "1", "--out", out}},
		"encode": {other, []string{"encode", beside, "--from", dir}},
		"eval":   {other, []string{"eval", beside, "--from", dir}},
		"later":  {[]string{`for the readers ["sae-a"]: read it with --follow, and give --reader one of them`}, append([]string{"train", "sae", "--from", dir}, append(site, out)...)},
		"ranks": {[]string{"which several ranks cannot read: train in one process"},
			append([]string{"train", "sae", "--from", dir, "--follow", "--reader", "sae-a", "--ranks", "2", "--bind", "127.0.0.1:0"}, append(site, out)...)},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := actfleet(t, tc.args...)
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			for _, want := range tc.says {
				if code != exitError || !strings.Contains(lines[len(lines)-1], want) {
					t.Errorf("exit %d, %s%s; want a last line with %q", code, stdout, stderr, want)
				}
			}
		})
	}
}
