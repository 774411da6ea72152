package run_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	. "actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/shard/store"
	"actfleet/shard/store/fault"
	"actfleet/shard/store/mem"
)

// ringPlan is the tests' plan as a ring for readers a and b.
func ringPlan(t testing.TB) Plan {
	p := testPlan()
	p.Ring = &Ring{Bytes: 1 << 20, Units: 3, Readers: []string{"a", "b"}}
	for u := range p.NumUnits() {
		p.Ring.Rows += tallyOf(t, p, u).Rows
	}
	return p
}

func tallyOf(t testing.TB, p Plan, u int) (sum Tally) {
	for _, k := range (shardtest.Fill{}).Keys(t, p, u) {
		sum.Add(k.Row, k.Pos)
	}
	return sum
}

func newRing(t testing.TB) (store.Store, Plan) {
	st, p := mem.New(time.Now), ringPlan(t)
	shardtest.Fill{}.PutRun(t, st, p)
	return st, p
}

func acknowledge(t testing.TB, st store.Store, p Plan, reader string, units ...int) {
	t.Helper()
	for _, u := range units {
		if err := Acknowledge(context.Background(), st, Ack{Reader: reader, Unit: u, Tally: tallyOf(t, p, u)}); err != nil {
			t.Fatal(err)
		}
	}
}

func sweep(t testing.TB, st store.Store, p Plan) error {
	t.Helper()
	s, err := LookRing(context.Background(), st, p)
	if err != nil {
		t.Fatal(err)
	}
	return s.Sweep(context.Background(), st)
}

// A shard is deleted when the last reader has acknowledged it and not before, and stays committed; the run can be
// finished and checked with what is left.
func TestRingKeepsWhatAReaderNeeds(t *testing.T) {
	st, p := newRing(t)
	acknowledge(t, st, p, "a", 0, 1)
	acknowledge(t, st, p, "b", 1)
	acknowledge(t, st, p, "b", 1) // saying it again is no error
	if err := sweep(t, st, p); err != nil {
		t.Fatal(err)
	}
	there, err := Readable(t.Context(), st, p)
	if want := []bool{true, false, true}; err != nil || !slices.Equal(there, want) {
		t.Fatalf("readable %v, want %v: %v", there, want, err)
	}
	if done, err := Committed(t.Context(), st, p); err != nil || slices.Contains(done, false) {
		t.Errorf("committed %v: %v", done, err)
	}
	if s, err := Look(t.Context(), st, p); err != nil || s.Count(Deleted) != 1 || slices.Contains(s.Done(), false) {
		t.Errorf("survey %+v: %v", s, err)
	}
	if err := Gone(t.Context(), st, p, 1); !errors.Is(err, ErrGone) {
		t.Errorf("unit 1: %v", err)
	}
	if m, complete, err := Finish(t.Context(), st, p); err != nil || !complete || m.Rows() != p.Ring.Rows {
		t.Errorf("finish: %v, %v, %d rows of %d", complete, err, m.Rows(), p.Ring.Rows)
	}
	r := checkRun(t, st)
	want := []ReaderReport{{"a", tallyOf(t, p, 0).Rows + tallyOf(t, p, 1).Rows, false}, {"b", tallyOf(t, p, 1).Rows, false}}
	if !r.Sound() || r.Gone != 1 || len(r.Missing) > 0 || r.Rows != p.Ring.Rows || !slices.Equal(r.Readers, want) {
		t.Errorf("check: %+v", r)
	}
}

// A reader that has ended holds nothing back.
func TestRingReaderEnds(t *testing.T) {
	st, p := newRing(t)
	acknowledge(t, st, p, "a", 0, 1, 2)
	acknowledge(t, st, p, "b", 0)
	part := Tally{Rows: 1, Keys: 7}
	if err := End(t.Context(), st, Ended{Reader: "b", Units: map[int]Tally{2: part}}); err != nil {
		t.Fatal(err)
	}
	if err := sweep(t, st, p); err != nil {
		t.Fatal(err)
	}
	r := checkRun(t, st)
	if want := (ReaderReport{"b", tallyOf(t, p, 0).Rows + 1, true}); !r.Sound() || r.Gone != 3 || r.Readers[0].Rows != p.Ring.Rows || r.Readers[1] != want {
		t.Errorf("check: %+v", r)
	}
}

// An acknowledgement of other rows than the unit has keeps its shard.
func TestRingWrongRowsKeepTheShard(t *testing.T) {
	st, p := newRing(t)
	acknowledge(t, st, p, "a", 0)
	twice := tallyOf(t, p, 0)
	twice.Add(0, 0)
	if err := Acknowledge(t.Context(), st, Ack{Reader: "b", Unit: 0, Tally: twice}); err != nil {
		t.Fatal(err)
	}
	if err := sweep(t, st, p); err == nil || !strings.Contains(err.Error(), "the reader read") {
		t.Errorf("sweep: %v", err)
	}
	if there, err := Readable(t.Context(), st, p); err != nil || !there[0] {
		t.Errorf("the shard is gone: %v", err)
	}
	if err := Acknowledge(t.Context(), st, Ack{Reader: "a", Unit: 0, Tally: twice}); !errors.Is(err, ErrOtherReader) {
		t.Errorf("another acknowledgement: %v", err)
	}
	if r := checkRun(t, st); len(r.Damage) != 1 || !strings.Contains(r.Damage[0], "read twice or not at all") {
		t.Errorf("check: %v", r.Damage)
	}
}

// Whatever operation of a sweep fails, before or after it is done, no shard is deleted without a tombstone, and the next
// sweep ends it.
func TestRingSweepFails(t *testing.T) {
	for at, fired := 1, true; fired; at++ {
		for _, after := range []bool{false, true} {
			st, p := newRing(t)
			acknowledge(t, st, p, "a", 0, 1)
			acknowledge(t, st, p, "b", 0, 1)
			faulty := fault.Wrap(st, fault.Faults{FailAt: at, After: after})
			if s, err := LookRing(t.Context(), faulty, p); err == nil {
				_ = s.Sweep(t.Context(), faulty)
			}
			fired = faulty.Fired()
			if done, err := Committed(t.Context(), st, p); err != nil || slices.Contains(done, false) {
				t.Fatalf("operation %d: committed %v: %v", at, done, err)
			}
			if err := sweep(t, st, p); err != nil {
				t.Fatalf("operation %d: %v", at, err)
			}
			if r := checkRun(t, st); !r.Sound() || r.Gone != 2 || r.Committed != 1 {
				t.Fatalf("operation %d: %+v", at, r)
			}
		}
	}
}

// Several sweep at once, and a late node commits a deleted unit again: in the end it is gone.
func TestRingLateCommit(t *testing.T) {
	st, p := newRing(t)
	acknowledge(t, st, p, "a", 0)
	acknowledge(t, st, p, "b", 0)
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() {
			s, err := LookRing(context.Background(), st, p)
			if err == nil {
				err = s.Sweep(context.Background(), st)
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	shardtest.Fill{}.PutUnit(t, st, p, 0)
	if r := checkRun(t, st); !r.Sound() || r.Rows != p.Ring.Rows {
		t.Errorf("check: %+v", r)
	}
	if err := sweep(t, st, p); err != nil {
		t.Fatal(err)
	}
	if there, err := Readable(t.Context(), st, p); err != nil || there[0] {
		t.Errorf("the late shard stays: %v", err)
	}
}

// The limit lets as many units be there as the ring has, whichever are gone, and never moves back.
func TestRingLimit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := testPlan()
		n := rapid.IntRange(1, 20).Draw(rt, "units")
		p.Data.Rows, p.Units = int64(n), nil
		for u := range n + 1 {
			p.Units = append(p.Units, int64(u))
		}
		p.Ring = &Ring{Bytes: 1, Units: rapid.IntRange(3, 9).Draw(rt, "ring"), Readers: []string{"a"}}
		st := mem.New(time.Now)
		before := 0
		for _, u := range rapid.Permutation(numbers(n)).Draw(rt, "order") {
			s, err := LookRing(context.Background(), st, p)
			if err != nil {
				rt.Fatal(err)
			}
			limit := s.Limit()
			open := 0
			for v, done := range s.Committed() {
				if v < limit && !done {
					open++
				}
			}
			if limit < before || open > p.Ring.Units || limit < n && open != p.Ring.Units {
				rt.Fatalf("limit %d after %d, %d open below it, ring of %d", limit, before, open, p.Ring.Units)
			}
			before = limit
			if err := store.Put(context.Background(), st, GoneKey(u), []byte("{}")); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

func numbers(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// A full ring says which reader and which unit it waits for.
func TestRingWaits(t *testing.T) {
	p := ringPlan(t)
	p.Units = []int64{0, 1, 2, 3, 4, 5}
	p.Data.Rows = max(p.Data.Rows, 5)
	st := mem.New(time.Now)
	wait := func() string {
		s, err := LookRing(t.Context(), st, p)
		if err != nil {
			t.Fatal(err)
		}
		reader, unit, waits := s.Waits()
		return fmt.Sprint(reader, unit, waits)
	}
	put := func(key string) {
		if err := store.Put(t.Context(), st, key, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	for u, want := range []string{"0 false", "0 false", "a0 true"} {
		put(UnitKey(u))
		if got := wait(); got != want {
			t.Errorf("with unit %d: %s, want %s", u, got, want)
		}
	}
	put(AckKey("a", 1))
	if got := wait(); got != "b0 true" {
		t.Errorf("a has read unit 1: %s", got)
	}
	put(EndedKey("b"))
	if got := wait(); got != "a2 true" {
		t.Errorf("b has ended: %s", got)
	}
}

func TestRingPlans(t *testing.T) {
	tests := map[string]Ring{
		"needs bytes and readers":   {Units: 3, Readers: []string{"a"}},
		"holds 2 units":             {Bytes: 9, Units: 2, Readers: []string{"a"}},
		"ascending order":           {Bytes: 9, Units: 3, Readers: []string{"b", "a"}},
		"each once":                 {Bytes: 9, Units: 3, Readers: []string{"a", "a"}},
		`"gone" cannot be the name`: {Bytes: 9, Units: 3, Readers: []string{"gone"}},
		`"x/y" cannot be the name`:  {Bytes: 9, Units: 3, Readers: []string{"x/y"}},
	}
	for want, ring := range tests {
		p := testPlan()
		p.Ring = &ring
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", ring, err)
		}
	}
	p := testPlan()
	if strings.Contains(string(p.Bytes()), `"ring"`) {
		t.Error("a plan without a ring mentions it")
	}
	if lines := p.Difference(ringPlan(t)); len(lines) == 0 || !strings.Contains(strings.Join(lines, " "), "none here") {
		t.Errorf("a ring and none differ in %q", lines)
	}
}

// Every fault in what a ring keeps is found, and named.
func TestCheckFindsRingFaults(t *testing.T) {
	tests := map[string]func(st store.Store, p Plan){
		"no unit and no reader of the plan": func(st store.Store, p Plan) { _ = store.Put(t.Context(), st, "ring/c/unit-000000.json", nil) },
		"reader b has not acknowledged it": func(st store.Store, p Plan) {
			_ = st.Delete(t.Context(), AckKey("b", 0))
		},
		"unit-000000.json: the unit has no sound shard": func(st store.Store, p Plan) {
			_ = st.Delete(t.Context(), GoneKey(0))
			_ = store.Put(t.Context(), st, GoneKey(0), []byte("not JSON"))
		},
		"is of unit 1": func(st store.Store, p Plan) {
			_ = store.Put(t.Context(), st, AckKey("a", 2), []byte(`{"reader":"a","unit":1}`))
		},
		"was acknowledged as well": func(st store.Store, p Plan) {
			_ = End(t.Context(), st, Ended{Reader: "a", Units: map[int]Tally{0: {Rows: 1}}})
		},
	}
	for want, spoil := range tests {
		st, p := newRing(t)
		acknowledge(t, st, p, "a", 0)
		acknowledge(t, st, p, "b", 0)
		if err := sweep(t, st, p); err != nil {
			t.Fatal(err)
		}
		spoil(st, p)
		if r := checkRun(t, st); !strings.Contains(strings.Join(r.Damage, "\n"), want) {
			t.Errorf("want %q, found %q", want, r.Damage)
		}
	}
}
