package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"actfleet/collector"
	"actfleet/collector/dataset"
	"actfleet/collector/model/modeltest"
	"actfleet/collector/node"
	"actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/shard/store"
	"actfleet/shard/store/fault"
	"actfleet/shard/store/mem"
	"actfleet/shard/tap"
	"actfleet/trainer"
	"actfleet/trainer/coder"
	"actfleet/trainer/recipe"
	"actfleet/trainer/stream"
)

// ringUnits and ringSpan are the units of the tests' ring and those that its readers mix.
const ringUnits, ringSpan = 6, 2

// streamed is a job of 24 units whose ring, if it has one, holds a quarter of them.
func streamed(t *testing.T, ring *run.Ring) *node.Job {
	t.Helper()
	in := &dataset.Input{Digest: "digest"}
	for i := range 480 {
		in.IDs = append(in.IDs, []int32{int32(i % 100), int32(i / 100), 2, 3}[:1+i%4])
		in.Text = append(in.Text, fmt.Sprint(i))
	}
	rule, err := tap.ParseRule("all")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := dataset.WriteInput(&b, in); err != nil {
		t.Fatal(err)
	}
	ask := collector.Ask{Sites: []tap.Site{tap.FC2}, Layers: []int{1}, Tokens: rule, Dtype: "f16", Template: "none"}
	j, err := node.NewJob(ask, modeltest.NewFake(), in, bytes.NewReader(b.Bytes()), fmt.Sprintf("%x", sha256.Sum256(b.Bytes())), "data.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	j.Plan.Units = nil
	for row := int64(0); row <= 480; row += 20 {
		j.Plan.Units = append(j.Plan.Units, row)
	}
	j.Plan.Ring = ring
	return j
}

// quiet hears what a node says, and keeps nothing of it.
type quiet struct{}

func (quiet) Joined(*node.Fleet)      {}
func (quiet) Observe(collector.Event) {}
func (quiet) Tell(string, ...any)     {}

// collectIn is a node that collects a job into a store.
func collectIn(ctx context.Context, j *node.Job, st store.Store) error {
	_, err := node.Run(ctx, node.Config{Job: j, Store: st, Started: time.Now(), Version: "v", Threads: 1, Grace: time.Minute,
		Encode: func(string) []int32 { return nil }, Token: func(id int32) string { return fmt.Sprint(id) },
		Fleet: node.FleetConfig{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}}, quiet{})
	return err
}

// reading is a training of the stream, in a folder.
func reading(dir string, st store.Store, p run.Plan, reader string) trainer.Job {
	c := recipe.Default(coder.SAE)
	c.SAE.Width, c.SAE.K, c.SAE.DeadTokens, c.Loop.InitRows = 16, 2, 200, 60
	c.Loop.Batch, c.Loop.Micro, c.Loop.Steps, c.Data.ShuffleWindow, c.Data.Span = 32, 20, 33, 2, ringSpan
	c.Loop.CheckpointSteps, c.Loop.EvalSteps, c.Loop.LogSteps, c.Loop.EvalRows = 5, 10, 5, 50
	j := trainer.Job{Dir: dir, Runs: []stream.Source{{Store: st, Plan: p}}, Column: "fc2_1", Recipe: c, Resume: true, Reader: reader, Now: time.Now}
	if reader != "" {
		j.Wait = func(ctx context.Context, _ int) error { return sleep(ctx, 2*time.Millisecond) }
	}
	return j
}

// weighed is a store that weighs its shards at every commit; most is what they took at most.
func weighed(st store.Store) (_ store.Store, most *int64) {
	most = new(int64)
	var mu sync.Mutex
	return shardtest.Committing{Store: st, After: func(ctx context.Context, _ string, err error) error {
		infos, _ := st.List(ctx, "acts/")
		var sum int64
		for _, i := range infos {
			sum += i.Size
		}
		mu.Lock()
		defer mu.Unlock()
		*most = max(*most, sum)
		return err
	}}, most
}

// untilDone runs something again and again with a store in which one operation fails, and in the end with a sound one.
func untilDone(t *testing.T, rng *rand.Rand, st store.Store, operations int, do func(st store.Store) error) {
	for range 4 {
		faulty := fault.Wrap(st, fault.Faults{FailAt: 1 + rng.IntN(operations), After: rng.IntN(2) == 0})
		err := do(faulty)
		if err == nil {
			return
		}
		if !errors.Is(err, fault.ErrInjected) {
			t.Error(err)
			return
		}
	}
	if err := do(st); err != nil {
		t.Error(err)
	}
}

// A ring whose nodes and readers fail at any operation of the store, and are started again, gives every reader the weights
// of one that read the complete run; every row is read exactly once, and the shards take no more than they may.
func TestRingLosesNothing(t *testing.T) {
	t.Parallel()
	whole := mem.New(time.Now)
	j := streamed(t, nil)
	if err := collectIn(t.Context(), j, whole); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := trainer.Train(t.Context(), reading(filepath.Join(dir, "whole"), whole, j.Plan, "")); err != nil {
		t.Fatal(err)
	}
	m, err := run.ReadManifest(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	ring := &run.Ring{Units: ringUnits, Rows: m.Rows(), Readers: []string{"a", "b"}}
	for _, u := range m.Units {
		ring.Bytes = max(ring.Bytes, ringUnits*u.Size)
	}
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			st, most := weighed(mem.New(time.Now))
			j, out := streamed(t, ring), t.TempDir()
			var all sync.WaitGroup
			all.Go(func() {
				untilDone(t, rand.New(rand.NewPCG(seed, 0)), st, 500, func(st store.Store) error { return collectIn(t.Context(), j, st) })
			})
			for i, reader := range ring.Readers {
				all.Go(func() {
					untilDone(t, rand.New(rand.NewPCG(seed, uint64(i)+1)), st, 400, func(st store.Store) error {
						_, err := trainer.Train(t.Context(), reading(filepath.Join(out, reader), st, j.Plan, reader))
						if errors.Is(err, trainer.ErrReaderEnded) {
							return nil
						}
						return err
					})
				})
			}
			all.Wait()
			for _, reader := range ring.Readers {
				if !t.Failed() && weights(t, out, reader) != weights(t, dir, "whole") {
					t.Errorf("reader %s: the weights differ", reader)
				}
			}
			wantRead(t, st, ring.Rows, 33*32)
			if *most > ring.Bytes {
				t.Errorf("the shards took %d bytes, the ring has %d", *most, ring.Bytes)
			}
		})
	}
}

// wantRead checks that a ring is whole and that each reader has read so many rows at least, and ended.
func wantRead(t *testing.T, st store.Store, rows, trained int64) {
	t.Helper()
	r, err := run.Check(t.Context(), st, run.CheckOptions{})
	if err != nil || !r.Sound() || len(r.Missing) > 0 || r.Rows != rows || r.Gone != r.Units {
		t.Fatalf("check: %+v, %v", r, err)
	}
	for _, reader := range r.Readers {
		if !reader.Ended || reader.Rows < trained || reader.Rows > rows {
			t.Errorf("%+v, want %d to %d rows", reader, trained, rows)
		}
	}
}

// A node and a reader that are killed with -9, again and again, lose no row and read none twice: the reader ends with the
// weights of one of a ring where nobody was killed.
func TestRingKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(7, 1))
	var all sync.WaitGroup
	for kills, name := range map[int]string{0: "quiet", 3: "killed"} { // only one draws
		ring := filepath.Join(dir, name+"-run")
		for _, command := range [][]string{
			{"collect", "--model", tinyModel, "--data", tinyData, "--limit", "1500", "--tokens", "all", "--sites", "resid", "--layers", "3",
				"--threads", "1", "--dtype", "f16", "--out", ring, "--ring", "4MB", "--readers", "a"},
			training(ring, filepath.Join(dir, name), "--follow", "--reader", "a", "--set", "span=1", "--set", "init_rows=500", "--set", "steps=60", "--set", "width=64"),
		} {
			var moments []time.Duration
			for k := range kills {
				moments = append(moments, time.Duration(rng.IntN(2000*(k+1)))*time.Millisecond)
			}
			all.Go(func() { killedAt(t, moments, command) })
		}
	}
	all.Wait()
	if t.Failed() {
		return
	}
	if weights(t, dir, "killed") != weights(t, dir, "quiet") {
		t.Error("the weights differ")
	}
	for _, name := range []string{"quiet", "killed"} {
		st, plan, err := openRun(t.Context(), filepath.Join(dir, name+"-run"))
		if err != nil {
			t.Fatal(err)
		}
		wantRead(t, st, plan.Ring.Rows, 60*256)
		for u := range plan.NumUnits() {
			if g, err := run.ReadTombstone(t.Context(), st, u); err != nil || g.Size > plan.Ring.Bytes/int64(plan.Ring.Units) {
				t.Errorf("unit %d had %d bytes, planned are %d units in %d: %v", u, g.Size, plan.Ring.Units, plan.Ring.Bytes, err)
			}
		}
	}
}

// killedAt kills a command so long after each of its starts, and then lets it end.
func killedAt(t *testing.T, moments []time.Duration, command []string) {
	for _, m := range moments {
		p := start(t, command...)
		time.Sleep(m)
		_ = p.Process.Kill() // it may have ended
		if p.wait(t) == exitDone {
			return
		}
	}
	if p := start(t, command...); p.wait(t) != exitDone {
		t.Errorf("%s: %s", command[0], p.err.String())
	}
}
