package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"actfleet/collector/node"
	"actfleet/coordinator"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/store/local"
)

// The environment of a sleeping node.
const (
	costRun  = "ACTFLEET_COST_RUN"
	costBind = "ACTFLEET_COST_BIND"
	costJoin = "ACTFLEET_COST_JOIN"
	costUnit = "ACTFLEET_COST_UNIT" // mean time of a unit
)

// sleepReport is what a sleeping node prints.
type sleepReport struct {
	Waits []float64 `json:"waits"` // ms from a commit to the next unit's start, while units were open
	Last  []float64 `json:"last"`  // the same at the end, when a node waits for what others still do
	CPU   float64   `json:"cpu"`   // seconds
	Wall  float64   `json:"wall"`
	Units int       `json:"units"`
}

// TestCoordinationCost runs processes that coordinate as nodes do, with real gossip, on a real directory, and whose
// units are a sleep: what they compute is what coordination costs. ACTFLEET_COST=8x960 gives the nodes and the units of
// the long form, ACTFLEET_COST_UNIT a unit's mean time.
func TestCoordinationCost(t *testing.T) {
	if os.Getenv(costRun) != "" {
		if err := sleepingNode(t.Context()); err != nil {
			t.Fatal(err)
		}
		return
	}
	nodes, units := 3, 60
	if form := os.Getenv("ACTFLEET_COST"); form != "" {
		n, u, _ := bytes.Cut([]byte(form), []byte("x"))
		nodes, _ = strconv.Atoi(string(n))
		units, _ = strconv.Atoi(string(u))
	}
	if os.Getenv(costUnit) == "" {
		t.Setenv(costUnit, "50ms")
	}
	dir := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	wideRun(t, dir, units, units)
	lab := newLab(t, nodes)
	var all sleepReport
	for _, r := range sleepers(t, lab, dir) {
		all.Waits, all.Last = append(all.Waits, r.Waits...), append(all.Last, r.Last...)
		all.CPU, all.Wall, all.Units = all.CPU+r.CPU, all.Wall+r.Wall, all.Units+r.Units
	}
	if all.Units < units {
		t.Errorf("%d units of %d were worked on", all.Units, units)
	}
	slices.Sort(all.Waits)
	at := func(q float64) float64 { return all.Waits[int(q*float64(len(all.Waits)-1))] }
	t.Logf("%d nodes, %d units of %s: commit to next start: median %.2f ms, p90 %.2f, p99 %.2f, max %.1f (%d of the last units: up to %.0f); %.3f %% of a core a node, %.3f ms a unit; %d units done twice",
		nodes, units, os.Getenv(costUnit), at(.5), at(.9), at(.99), at(1), len(all.Last), slices.Max(all.Last), 100*all.CPU/all.Wall, 1e3*all.CPU/float64(all.Units), all.Units-units)
}

// sleepers runs the nodes to their end.
func sleepers(t *testing.T, l *lab, dir string) (reports []sleepReport) {
	t.Helper()
	var procs []*process
	for i, bind := range l.ports {
		args := []string{os.Args[0], "-test.run", "^TestCoordinationCost$"}
		if l.hub != nil {
			args = append([]string{"ip", "netns", "exec", l.name(i)}, args...)
		}
		p := &process{Cmd: exec.CommandContext(t.Context(), args[0], args[1:]...)}
		p.Env = append(os.Environ(), asMain+"=", costRun+"="+dir, costBind+"="+bind, costJoin+"="+l.ports[0])
		p.Stdout, p.Stderr = &p.out, &p.err
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		procs = append(procs, p)
	}
	for _, p := range procs {
		var r sleepReport
		if code := p.wait(t); code != 0 {
			t.Fatalf("a node ended with %d: %s%s", code, p.out.String(), p.err.String())
		}
		if err := json.NewDecoder(bytes.NewReader([]byte(p.out.String()))).Decode(&r); err != nil {
			t.Fatalf("a node printed %q", p.out.String())
		}
		reports = append(reports, r)
	}
	return reports
}

// sleepingNode takes units, sleeps, and commits a byte of each.
func sleepingNode(ctx context.Context) error {
	mean, err := time.ParseDuration(os.Getenv(costUnit))
	if err != nil {
		return err
	}
	st, err := local.New(os.Getenv(costRun))
	if err != nil {
		return err
	}
	plan, err := run.ReadPlan(ctx, st)
	if err != nil {
		return err
	}
	c := node.FleetConfig{Bind: os.Getenv(costBind), Join: []string{os.Getenv(costJoin)}, Logger: slog.Default()}
	f, err := node.Join(ctx, c, st, plan, time.Now())
	if err != nil {
		return err
	}
	r, err := sleepAndCommit(ctx, f.Coordinator, st, mean)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func sleepAndCommit(ctx context.Context, c *coordinator.Coordinator, st store.Store, mean time.Duration) (r sleepReport, err error) {
	var committed, began time.Time
	var before time.Duration
	for {
		u, err := c.Next(ctx)
		now := time.Now()
		switch {
		case errors.Is(err, coordinator.ErrComplete):
			r.CPU, r.Wall = (cpuTime() - before).Seconds(), now.Sub(began).Seconds()
			return r, nil
		case err != nil:
			return r, err
		case committed.IsZero():
			began, before = now, cpuTime()
		case open(c) > 16:
			r.Waits = append(r.Waits, now.Sub(committed).Seconds()*1e3)
		default:
			r.Last = append(r.Last, now.Sub(committed).Seconds()*1e3)
		}
		time.Sleep(mean/2 + rand.N(mean))
		err = store.Put(ctx, st, run.UnitKey(u), []byte{'x'})
		if err != nil && !errors.Is(err, store.ErrExists) {
			return r, err
		}
		committed = time.Now()
		c.Done(u, committed.Sub(now), err == nil)
		r.Units++
	}
}

// open is the units not committed yet.
func open(c *coordinator.Coordinator) int {
	p := c.Progress()
	return p.Total - p.Done
}

// cpuTime is what this process has computed so far.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
