package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"actfleet/collector"
	"actfleet/collector/forecast"
	"actfleet/internal/torch/fakegpu"
)

// dryTiny is a dry run of the shipped model into a run of three units.
func dryTiny(out string) []string {
	return []string{"collect", "--model", tinyModel, "--data", tinyData, "--limit", "50", "--unit-prompts", "20", "--out", out, "--dry-run"}
}

// A dry run tells of a new run, of one that is half there, of one that is whole; and refuses what collect would refuse.
func TestDryRun(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "run")
	dry := dryTiny(out)
	var p dryPage
	decode(t, wantOKHere(t, append(dry, "--json")...), &p)
	if p.Prompts != 50 || p.Units != 3 || p.UnitSeconds <= 0 || p.LongestUnitSeconds < p.UnitSeconds || len(p.Fleets) != 2 ||
		p.Seconds <= 0 || p.Bottleneck == "" || p.Change.Do == "" || len(p.Ceilings) != 2 || p.Place.Where != dir || p.Place.Free <= 0 || p.Place.Write <= 0 {
		t.Errorf("%+v", p)
	}
	if said := wantOKHere(t, dry...); !strings.Contains(said, "units     3 of about 16 prompts") || !strings.Contains(said, "of more than 3 nodes") || !strings.Contains(said, "a new one") {
		t.Errorf("says %s", said)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("a dry run left %v", left)
	}
	wantOKHere(t, dry[:len(dry)-1]...)
	if said := wantOKHere(t, dry...); !strings.Contains(said, "is complete: all of its 3 units are done") {
		t.Errorf("of a whole run: %s", said)
	}
	if err := os.Remove(unitFiles(out)[1]); err != nil {
		t.Fatal(err)
	}
	if said := wantOKHere(t, dry...); !strings.Contains(said, "has 2 of 3 units; this page is about the other 1\nprompts   20,") {
		t.Errorf("of a run that lacks a unit: %s", said)
	}
	wantRefusal(t, exitError, []string{"holds another plan"}, append(dry, "--layers", "0")...)
}

func TestDryRunOfOneUnit(t *testing.T) {
	dry := dryTiny(filepath.Join(t.TempDir(), "run"))
	if said := wantOKHere(t, append(dry, "--unit-prompts", "50")...); !strings.Contains(said, "units     1 of ") || !strings.Contains(said, "a second node would be idle") {
		t.Errorf("says %s", said)
	}
}

// Where nothing can be written, the page says what collect would end with, and all that it can.
func TestDryRunOnReadOnlyDisk(t *testing.T) {
	out := filepath.Join(mount(t, syscall.MS_RDONLY, "size=64m"), "run")
	if said := wantOKHere(t, dryTiny(out)...); !strings.Contains(said, "warning   collect would end with: ") || !strings.Contains(said, "how fast was not measured") || !strings.Contains(said, "limit ") {
		t.Errorf("says %s", said)
	}
}

// Into a bucket, the network is measured with an object that does not stay.
func TestS3DryRun(t *testing.T) {
	_, out := bucketRun(t)
	var p dryPage
	decode(t, wantOKHere(t, append(dryTiny(out), "--json")...), &p)
	if p.Place.Write <= 0 || p.Stages[2].Name != forecast.Upload {
		t.Errorf("%+v, %+v", p.Place, p.Stages)
	}
	if left, err := openBucket(t, out).List(t.Context(), ""); err != nil || len(left) != 0 {
		t.Errorf("a dry run left %v, %v", left, err)
	}
}

// The page is short, and says what will not fit.
func TestDryPage(t *testing.T) {
	p := dryPage{Run: "RUN", Plan: "abc", rule: "all", Loaded: 1e9, FreeMemory: 1e6,
		Estimate: collector.Estimate{Prompts: 300, Tokens: 10_000, Rows: 10_000, Columns: 40, Units: 12, Done: 3, Bytes: 1_170_000_000,
			Memory: 1_300_000_000, Blocks: 5, BlockBytes: 20_000_000, Measured: collector.Measured{Lanes: 2}},
		Place: place{Where: "/x", Free: 1e9, Write: 1.2e9}, GPUs: []gpuNeed{{"cuda:0", 17e9, 19e9, 141e9}}, UnitSeconds: 2,
		Forecast: forecast.Forecast{Seconds: 25, Tokens: 400, LongestUnitSeconds: 3, Bottleneck: forecast.Model, Change: forecast.Change{Do: "another node like this one", Saves: 12},
			Stages:   []forecast.Stage{{Name: "model", Seconds: 19}, {Name: "taps", Seconds: 6}, {Name: "disk", Seconds: 2, Beside: true}},
			Ceilings: []forecast.Ceiling{{Of: "matrix products", Tokens: 900}, {Of: "writing", Tokens: 52_000}},
			Fleets:   []forecast.Fleet{{Nodes: 2, Seconds: 13}, {Nodes: 12, Seconds: 3}}}}
	p.warn()
	var b strings.Builder
	p.print(&b)
	want := `run       RUN has 3 of 15 units; this page is about the other 12
prompts   300, 10000 tokens
rows      10000 kept positions (all) × 40 vector columns
disk      1.17 GB to write; 1 GB free; 1.2 GB/s measured in /x
units     12 of about 25 prompts and 2s here, the longest 3s: of more than 12 nodes the others would be idle
memory    1.3 GB a node: 1 GB with the model, 200 MB for batches, 5 row groups of 20 MB; 1 MB free
cuda:0    17 GB in use with the model, 19 GB with batches, of 141 GB
speed     400 tokens/s, measured in 2 lanes; alone would allow: matrix products 900, writing 52000
time      25s on this machine alone, 13s on 2 such nodes, 3s on 12 such nodes
          model 19s + taps 6s; beside them disk 2s
limit     model: another node like this one saves 12s
warning   not enough disk: 1.17 GB to write, 1 GB free in /x
warning   not enough memory: row groups of 100 MB beside model and batches, 1 MB free
plan      abc
nothing was kept
`
	if _, got, _ := strings.Cut(b.String(), "\n"); got != want {
		t.Errorf("says\n%s\nwant\n%s", got, want)
	}
}

// On GPUs it tells what each has in use, and what copies to the host allow.
func TestFakeGPUDryRun(t *testing.T) {
	fakegpu.Open(t)
	var p dryPage
	decode(t, wantOKHere(t, append(dryTiny(filepath.Join(t.TempDir(), "run")), "--device", "cuda:0,cuda:2", "--json")...), &p)
	if len(p.GPUs) != 2 || p.GPUs[1].Device != "cuda:2" || p.GPUs[1].Loaded <= 0 || p.GPUs[1].Batches < p.GPUs[1].Loaded || p.GPUs[1].Memory != 8<<30 {
		t.Errorf("%+v", p.GPUs)
	}
	if len(p.Ceilings) != 3 || p.Ceilings[1].Of != "copies to the host" || p.Lanes != 4 {
		t.Errorf("%+v in %d lanes", p.Ceilings, p.Lanes)
	}
}
