package node

import (
	"strings"
	"testing"
	"time"

	"actfleet/collector"
	"actfleet/collector/model/modeltest"
	"actfleet/shard/run"
	"actfleet/shard/store/fault"
	"actfleet/shard/store/mem"
)

// ringed is a run of five units as a ring of three.
func ringed(t *testing.T, cfg Config) Config {
	t.Helper()
	cfg.Job.Plan.Ring = &run.Ring{Bytes: 1 << 20, Units: 3, Rows: 250, Readers: []string{"a"}}
	return cfg
}

// A full ring holds its node up, which says for whom it waits, until the reader needs no more; then nothing is left on
// the disk.
func TestNodeWaitsForTheReader(t *testing.T) {
	st, r := mem.New(time.Now), &recorder{}
	var waited []collector.Event
	committed := 0
	r.on = func(e collector.Event) {
		if e.Event != "wait" {
			return
		}
		waited, committed = append(waited, e), r.count("commit")
		if err := run.End(t.Context(), st, run.Ended{Reader: "a"}); err != nil {
			t.Error(err)
		}
	}
	if _, err := Run(t.Context(), ringed(t, config(t, st, modeltest.NewFake(), r)), r); err != nil {
		t.Fatal(err)
	}
	if len(waited) != 1 || committed != 3 || !strings.Contains(waited[0].Message, "for reader a to read unit 0") {
		t.Errorf("waited %+v after %d units", waited, committed)
	}
	report, err := run.Check(t.Context(), st, run.CheckOptions{})
	if err != nil || !report.Sound() || report.Gone != units || report.Committed != 0 || len(report.Missing) > 0 {
		t.Errorf("check: %+v, %v", report, err)
	}
}

// A store that fails while the ring is looked at ends the node with that error.
func TestNodeRingFails(t *testing.T) {
	sound, r := mem.New(time.Now), &recorder{}
	cfg := ringed(t, config(t, sound, modeltest.NewFake(), r))
	failed := 0
	for at := 1; at < 60; at++ {
		inner := mem.New(time.Now)
		cfg.Store = fault.Wrap(inner, fault.Faults{FailAt: at})
		r.on = func(e collector.Event) {
			if e.Event == "wait" {
				_ = run.End(t.Context(), inner, run.Ended{Reader: "a"})
			}
		}
		if _, err := Run(t.Context(), cfg, r); err != nil && strings.Contains(err.Error(), "look at the ring") {
			failed++
		}
	}
	if failed == 0 {
		t.Error("no failure while the ring was looked at ended a node")
	}
}
