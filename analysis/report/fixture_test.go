package report

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"actfleet/analysis/evaluate"
	"actfleet/shard/shardtest"
	"actfleet/shard/store"
	"actfleet/shard/store/mem"
	"actfleet/shard/tap"
)

// dims is the size of a fixture: small for the golden file, large for the eye.
type dims struct{ layers, nodes, units, steps int }

var (
	smallDims = dims{layers: 3, nodes: 2, units: 6, steps: 5}
	largeDims = dims{layers: 24, nodes: 8, units: 260, steps: 1500}
)

// fixture builds a report through the loaders from files made of seeded noise
// around a plausible shape: AUROC rises towards the middle layers, training
// curves fall, one node dies, one comes back.
func fixture(t testing.TB, d dims) Report {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	run := mem.New(func() time.Time { return logStart })
	writeLogs(t, run, d, rng)
	fleet, err := LoadTimeline(context.Background(), run)
	must(t, err)
	fleet.Name = "truth-night"
	r := Report{
		Title: "truth-night",
		Runs: []Run{{
			Name: "truth-night", PlanID: "4be05b1fb8e3a6f13a4b1e6b1c7df1a40e7f54d0a6b4bd1ed0d0e7a2a84b77c5", Model: "phi-2 (PhiForCausalLM)", Data: "truth.jsonl",
			Adapters: []string{"ia3"}, Sites: "Wqkv, out_proj, fc1, fc2, resid", Layers: fmt.Sprintf("0–%d", d.layers-1), Tokens: "last", Dtype: "f16", Compute: "f16", Template: "phi",
			DataRows: 12_852, Rows: 12_852, Units: d.units, Committed: d.units - 1, Bytes: 19_234_567_890, Started: logStart, Ended: logStart.Add(95 * time.Minute),
		}},
		Timelines: []Fleet{fleet},
		Norms:     []Norms{{Name: "truth-night", Columns: fixtureNorms(d)}},
		Commands:  []string{"actfleet collect --model phi-2 --data truth.jsonl --out truth-night --tokens last", "actfleet check truth-night", "actfleet report truth-night --probes probes --out report.html"},
	}
	for i, kind := range []string{"sae", "vq"} {
		for j := range 3 - i {
			dir := filepath.Join(t.TempDir(), fmt.Sprintf("%s-fc2-%d", kind, 1024<<j))
			writeCoder(t, dir, kind, j, d, rng)
			writeEvaluation(t, dir, kind, j, d, rng)
			c, err := LoadCoder(dir)
			must(t, err)
			r.Coders = append(r.Coders, c)
		}
	}
	dir := filepath.Join(t.TempDir(), "truth-probes")
	writeJSON(t, filepath.Join(dir, "results.json"), fixtureTable(d, rng))
	sweep, err := LoadProbes(dir)
	must(t, err)
	r.Probes = []Sweep{sweep}
	return r
}

var logStart = time.Date(2025, 11, 3, 22, 15, 7, 0, time.UTC)

func writeLogs(t testing.TB, run store.Store, d dims, rng *rand.Rand) {
	t.Helper()
	unit := 0
	for n := range d.nodes {
		l := shardtest.Log{Node: fmt.Sprintf("node-%d", n+1), Now: logStart.Add(time.Duration(n*9) * time.Second)}
		say := func(event string, fields map[string]any) {
			m := map[string]any{"host": fmt.Sprintf("gpu%02d", n/2), "pid": 4000 + n}
			maps.Copy(m, fields)
			l.Say(t, event, m)
		}
		say("start", nil)
		last := d.units / d.nodes
		if n == 1 {
			last = last * 3 / 5 // this one dies
		}
		for i := range last {
			if n == 2 && i == last/2 { // this one goes to sleep and comes back in the morning
				say("leave", nil)
				l.Put(t, run, fmt.Sprintf("log/node-%d-a.jsonl", n+1))
				l.Now = l.Now.Add(9 * time.Hour)
				say("start", nil)
			}
			say("claim", map[string]any{"unit": unit})
			seconds := 8 + 20*rng.Float64()*rng.Float64()
			l.Now = l.Now.Add(time.Duration(seconds * float64(time.Second)))
			event, msg := "commit", ""
			switch roll := rng.IntN(40); {
			case roll == 0:
				event, msg = "lost", "duplicate of node-1"
			case roll == 1:
				event = "lost"
			case roll == 2:
				event = "drop"
			}
			say(event, map[string]any{"unit": unit, "rows": 512, "bytes": 512 * 15360, "seconds": seconds, "msg": msg})
			unit++
		}
		if n == 1 {
			say("claim", map[string]any{"unit": unit})
			l.Now = l.Now.Add(7 * time.Second)
			say("error", map[string]any{"msg": "CUDA out of memory"})
			l.Tear()
		} else {
			say("leave", nil)
		}
		l.Put(t, run, fmt.Sprintf("log/node-%d-b.jsonl", n+1))
	}
}

func writeCoder(t testing.TB, dir, kind string, i int, d dims, rng *rand.Rand) {
	t.Helper()
	arch := map[string]string{"sae": "topk", "vq": "ema"}[kind]
	writeJSON(t, filepath.Join(dir, "cfg.json"), map[string]any{"kind": kind, "arch": arch, "site": "fc2", "layer": 12, "width": 1024 << i, "d_in": 2560, "config": map[string]any{"lr": 1e-3}})
	var data []byte
	for s := 1; s <= d.steps; s++ {
		at := float64(s) / float64(d.steps)
		fall := 0.08/float64(i+1) + 0.9*math.Exp(-9*at)
		noise := 1 + 0.06*rng.NormFloat64()
		m := map[string]any{"step": s, "tokens": s * 8192, "seconds": float64(s) * .2, "split": "train", "loss": 2560 * fall * noise, "fvu": fall * noise}
		if kind == "sae" {
			m["l0"], m["dead"] = 64-30*math.Exp(-20*at)+rng.NormFloat64(), math.Floor(float64(int(200)<<i)*at*math.Exp(-5*at))
		} else {
			m["perplexity"], m["usage"], m["revived"] = float64(int(700)<<i)*(1-math.Exp(-6*at))*noise, 1-.6*math.Exp(-8*at), math.Floor(20*math.Exp(-8*at))
		}
		data = appendLine(t, data, m)
		if s%max(1, d.steps/12) == 0 {
			m["split"], m["fvu"], m["loss"] = "eval", fall*1.04, 2560*fall*1.04
			data = appendLine(t, data, m)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "metrics.jsonl"), data, 0o644))
}

// writeEvaluation makes what eval leaves: the wider a coder, the better; densities around 1 in 300.
func writeEvaluation(t testing.TB, dir, kind string, i int, d dims, rng *rand.Rand) {
	t.Helper()
	metrics := map[string]float64{"rows": 65536, "fvu": .12 / float64(i+1), "ev": 1 - .12/float64(i+1)}
	if kind == "vq" {
		metrics["fvu"], metrics["ev"] = metrics["fvu"]*4, 1-4*metrics["fvu"]
		writeJSON(t, filepath.Join(dir, "eval.json"), map[string]any{"heldout": true, "metrics": metrics})
		return
	}
	metrics["l0"], metrics["dense"] = float64(int(24)<<i), 7
	count := make([]int, 20)
	for b := range count {
		count[b] = int(90 * float64(int(1)<<i) * math.Exp(-math.Pow(float64(b)-9, 2)/14))
	}
	words := []string{" the", " city", " of", " Zürich", " is", "\n", " not", " in", " Tokyo", "<b>", "\u202eevil", " 日本", "."}
	var latents []any
	for l := range 4 * d.layers {
		var top []any
		for k := range 1 + l%6 {
			text := func(n int) (s string) {
				for range n {
					s += words[rng.IntN(len(words))]
				}
				return s
			}
			top = append(top, map[string]any{"value": 9.5 / float64(k+1), "row": 40*l + k, "pos": 4 + k, "before": text(k * 3), "token": words[rng.IntN(len(words))], "after": text(5)})
		}
		latents = append(latents, map[string]any{"index": 17 * l, "density": .2 / float64(l+1), "top": top})
	}
	writeJSON(t, filepath.Join(dir, "eval.json"), map[string]any{"heldout": true, "metrics": metrics, "latents": latents,
		"densities": map[string]any{"dead": 120 >> i, "from": -5, "width": .25, "count": count}})
}

func fixtureTable(d dims, rng *rand.Rand) evaluate.Table {
	table := evaluate.Table{Label: "label", Target: "the statement is true", PlanIDs: []string{"4be05b1f"}, Splits: map[string]int{"train": 6000, "val": 1500, "test": 1500, "ood-negated": 748},
		Fingerprints: map[string]string{"train": "a", "val": "b", "test": "c", "ood-negated": "d"}}
	splits := []string{"train", "val", "test", "ood-negated"}
	for _, split := range splits {
		for _, b := range []struct {
			name          string
			auroc, lo, hi float64
			acc, alo, ahi float64
		}{
			{evaluate.BaselineMajority, .5, .5, .5, .512, .49, .535},
			{evaluate.BaselineRandom, .561, .507, .66, math.NaN(), math.NaN(), math.NaN()},
			{evaluate.BaselineWords, .634, .601, .668, .58, .555, .604},
			{evaluate.BaselineModel, .781, .752, .808, .694, .668, .718},
		} {
			table.Baselines = append(table.Baselines, evaluate.Baseline{Name: b.name, Split: split, N: 1500, AUROC: evaluate.Value(b.auroc), Lo: evaluate.Value(b.lo), Hi: evaluate.Value(b.hi),
				Acc: evaluate.Value(b.acc), AccLo: evaluate.Value(b.alo), AccHi: evaluate.Value(b.ahi)})
		}
	}
	for k, kind := range []string{"logistic", "mass_mean"} {
		for layer := range d.layers {
			for s, site := range tap.Sites {
				depth := float64(layer) / float64(d.layers)
				p := evaluate.Probe{ID: fmt.Sprintf("%s_%s_%d", kind, site, layer), Kind: kind, Site: string(site), Layer: layer, Converged: !(k == 0 && layer == 1 && s == 2), Splits: map[string]evaluate.Measure{}}
				for i, split := range splits {
					auroc := .5 + (.45-.04*float64(k)-.06*float64(i*i)/4)*math.Exp(-8*(depth-.6)*(depth-.6))*(.75+.06*float64(s)) + .012*rng.NormFloat64()
					if split == "ood-negated" {
						auroc -= .12
					}
					p.Splits[split] = measureAt(math.Min(auroc, .999))
				}
				table.Probes = append(table.Probes, p)
			}
		}
	}
	table.Calibration = &evaluate.Calibration{Probe: "logistic_resid_7", On: "val", N: 750, Splits: map[string]evaluate.Calibrated{"test": {
		Methods:   []evaluate.Method{{Name: "none", Brier: .11, LogLoss: .35, ECE: .06}, {Name: "platt", Brier: .1, LogLoss: .31, ECE: .02}},
		Sets:      []evaluate.Sets{{Alpha: .1, Coverage: .91, Negative: .88, Positive: .94, One: .8}, {Alpha: .1, Mondrian: true, Coverage: .905, Negative: .9, Positive: .91, One: .78}},
		Alarms:    []evaluate.Alarm{{Wanted: .01, Needs: 299, Threshold: evaluate.Value(math.NaN())}, {Wanted: .05, Needs: 59, Threshold: .81, FPR: .03, Recall: .6}},
		Decisions: []evaluate.Decision{{Threshold: .5, Probe: .35, All: 0}},
	}}}
	return table
}

func measureAt(auroc float64) evaluate.Measure {
	v := func(x float64) evaluate.Value { return evaluate.Value(math.Round(math.Min(x, 1)*1000) / 1000) }
	return evaluate.Measure{N: 1500, Groups: 750, AUROC: v(auroc), AUROCLo: v(auroc - .026), AUROCHi: v(auroc + .023), Acc: v(auroc - .07), AccLo: v(auroc - .095), AccHi: v(auroc - .047), ECE: v(.04), Recall: v(auroc / 3)}
}

func fixtureNorms(d dims) (out []Norm) {
	for layer := range d.layers {
		for s, site := range tap.Sites {
			base := []float64{60, 6, 45, 9, 30}[s]
			out = append(out, Norm{Site: string(site), Layer: layer, Width: 2560, RMS: base * math.Exp(.09*float64(layer)*float64(s)/3), MaxAbs: base, Bad: 0})
		}
	}
	return out
}

func appendLine(t testing.TB, data []byte, v any) []byte {
	t.Helper()
	line, err := json.Marshal(v)
	must(t, err)
	return append(append(data, line...), '\n')
}

func writeText(path, text string) error { return os.WriteFile(path, []byte(text), 0o644) }

func writeJSON(t testing.TB, path string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	must(t, err)
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, data, 0o644))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
