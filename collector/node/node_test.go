package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"actfleet/collector"
	"actfleet/collector/dataset"
	"actfleet/collector/model"
	"actfleet/collector/model/modeltest"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/store/fault"
	"actfleet/shard/store/mem"
	"actfleet/shard/tap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder remembers what it is told.
type recorder struct {
	mu     sync.Mutex
	fleet  *Fleet
	events []collector.Event
	lines  []string
	log    bytes.Buffer
	on     func(collector.Event) // is called for every event
}

func (r *recorder) Joined(f *Fleet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fleet = f
}

func (r *recorder) Observe(e collector.Event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
	if r.on != nil {
		r.on(e)
	}
}

func (r *recorder) Tell(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

// Write receives the log of gossip.
func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *recorder) said(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Contains(strings.Join(r.lines, "\n")+r.log.String(), text)
}

func (r *recorder) count(kind string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Event == kind {
			n++
		}
	}
	return n
}

func (r *recorder) last() collector.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[len(r.events)-1]
}

// units is how many units the tests' runs have.
const units = 5

// job asks for everything of 100 short prompts.
func job(t *testing.T, m collector.Model, sites ...tap.Site) *Job {
	t.Helper()
	in := &dataset.Input{Digest: "digest"}
	for i := range 100 {
		in.IDs = append(in.IDs, []int32{int32(i), 1, 2, 3}[:1+i%4])
		in.Text = append(in.Text, fmt.Sprint(i))
	}
	rule, err := tap.ParseRule("all")
	if err != nil {
		t.Fatal(err)
	}
	a := collector.Ask{Sites: sites, Layers: []int{1}, Tokens: rule, Dtype: "auto", Template: "none"}
	if len(sites) == 0 {
		a.Sites = tap.Sites
	}
	var b bytes.Buffer
	if err := dataset.WriteInput(&b, in); err != nil {
		t.Fatal(err)
	}
	j, err := NewJob(a, m, in, bytes.NewReader(b.Bytes()), fmt.Sprintf("%x", sha256.Sum256(b.Bytes())), "data.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	j.Plan.Units = []int64{0, 20, 40, 60, 80, 100}
	return j
}

// config is a node that is a fleet of one.
func config(t *testing.T, st store.Store, m collector.Model, r *recorder) Config {
	t.Helper()
	return Config{Job: job(t, m), Store: st, Started: time.Now(), Version: "v", Threads: 1, Grace: time.Minute,
		Encode: func(string) []int32 { return nil }, Token: func(id int32) string { return fmt.Sprint(id) },
		Fleet: FleetConfig{Logger: slog.New(slog.NewTextHandler(r, nil))}}
}

// wantWhole checks that a run holds every row once.
func wantWhole(t *testing.T, st store.Store) {
	t.Helper()
	report, err := run.Check(t.Context(), st, run.CheckOptions{})
	if err != nil || len(report.Damage) > 0 {
		t.Fatalf("check: %v, %v", report.Damage, err)
	}
}

// logged are the events in the pieces of a bucket's log.
func logged(t *testing.T, st store.Store) (kinds []string) {
	t.Helper()
	pieces, err := st.List(t.Context(), "log/")
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range pieces {
		data, err := store.Get(t.Context(), st, piece.Key, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			var e collector.Event
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, e.Event)
		}
	}
	return kinds
}

func TestANodeCollectsAWholeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, r := mem.New(time.Now), new(recorder)
		sum, err := Run(t.Context(), config(t, st, modeltest.NewFake(), r), r)
		if err != nil || sum.Won != units || sum.Lost != 0 {
			t.Fatalf("%+v, %v", sum, err)
		}
		wantWhole(t, st)
		kinds := logged(t, st)
		if kinds[0] != "start" || kinds[len(kinds)-1] != "leave" || len(kinds) != 2+2*units {
			t.Errorf("the log has %v", kinds)
		}
		if p := r.fleet.Progress(); p.Done != units {
			t.Errorf("progress says %d of %d", p.Done, p.Total)
		}
	})
}

// Every operation of a node's life on the store, publishing, joining, committing, logging, fails once, before or after
// it was done. The node ends with that error or does not mind, and the same command finishes the run.
func TestStoreFaultsInANodesLife(t *testing.T) {
	for _, after := range []bool{false, true} {
		fired := true
		for at := 1; fired; at++ {
			synctest.Test(t, func(t *testing.T) {
				st, r := mem.New(time.Now), new(recorder)
				broken := fault.Wrap(st, fault.Faults{FailAt: at, After: after})
				_, err := Run(t.Context(), config(t, broken, modeltest.NewFake(), r), r)
				fired = broken.Fired()
				if err != nil && !errors.Is(err, fault.ErrInjected) {
					t.Fatalf("operation %d: %v", at, err)
				}
				if r.fleet != nil && err != nil && r.last().Event != "error" && !strings.Contains(err.Error(), "the log") {
					t.Errorf("operation %d: %v, and the last event is %+v", at, err, r.last())
				}
				time.Sleep(time.Second) // of another start
				if _, err := Run(t.Context(), config(t, st, modeltest.NewFake(), r), r); err != nil {
					t.Fatalf("after operation %d failed: %v", at, err)
				}
				wantWhole(t, st)
			})
		}
	}
}

func TestAnotherPlanIsRefusedAndWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, r := mem.New(time.Now), new(recorder)
		if _, err := Run(t.Context(), config(t, st, modeltest.NewFake(), r), r); err != nil {
			t.Fatal(err)
		}
		before, _ := st.List(t.Context(), "")
		cfg := config(t, st, modeltest.NewFake(), r)
		cfg.Job = job(t, modeltest.NewFake(), tap.FC1)
		cfg.Job.Plan.Data.Input = run.InputKey("other")
		if _, err := Run(t.Context(), cfg, r); err == nil || !strings.Contains(err.Error(), "sites") {
			t.Errorf("error %v does not say what differs", err)
		}
		if after, _ := st.List(t.Context(), ""); !slices.Equal(keys(before), keys(after)) {
			t.Errorf("was written: %v, then %v", keys(before), keys(after))
		}
	})
}

func keys(infos []store.Info) (all []string) {
	for _, i := range infos {
		all = append(all, i.Key)
	}
	return all
}

// A node without data of its own waits for the plan of the first node, which may still load its model.
func TestFollow(t *testing.T) {
	load := func(_ string, p run.Plan) (collector.Model, error) { return modeltest.NewFake(), nil }
	synctest.Test(t, func(t *testing.T) {
		st, first := mem.New(time.Now), job(t, modeltest.NewFake())
		go func() {
			time.Sleep(planWait / 2)
			if err := first.publish(t.Context(), st); err != nil {
				t.Error(err)
			}
		}()
		j, err := Follow(t.Context(), st, "dir", load, t.Logf)
		if err != nil || j.Plan.ID() != first.Plan.ID() || len(j.Input.Lengths()) != 100 {
			t.Fatalf("%+v, %v", j, err)
		}
		r := new(recorder)
		cfg := config(t, st, modeltest.NewFake(), r)
		cfg.Job = j
		if _, err := Run(t.Context(), cfg, r); err != nil {
			t.Fatal(err)
		}
		wantWhole(t, st)

		other := func(dir string, p run.Plan) (collector.Model, error) {
			return otherModel{modeltest.NewFake()}, nil
		}
		if _, err := Follow(t.Context(), st, "dir", other, t.Logf); err == nil || !strings.Contains(err.Error(), "the model in dir (digest other) is not the plan's") {
			t.Errorf("another model: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if _, err := Follow(t.Context(), mem.New(time.Now), "dir", load, t.Logf); !errors.Is(err, store.ErrNotFound) || time.Since(began) < planWait {
			t.Errorf("without a plan: %v after %s", err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Follow(ctx, mem.New(time.Now), "dir", load, t.Logf); !errors.Is(err, context.Canceled) {
			t.Errorf("stopped while it waits: %v", err)
		}
	})
}

// The log's directory cannot be made: the node says so and has left its fleet.
func TestNoPlaceForTheLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := new(recorder)
	cfg := config(t, mem.New(time.Now), modeltest.NewFake(), r)
	cfg.Dir, cfg.Fleet.Bind = file, "127.0.0.1:0"
	if _, err := Run(t.Context(), cfg, r); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("error %v", err)
	}
}

// otherModel has other weights.
type otherModel struct{ *modeltest.Fake }

func (m otherModel) Info() model.Info {
	info := m.Fake.Info()
	info.Digest = "other"
	return info
}
