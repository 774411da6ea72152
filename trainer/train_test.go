package trainer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/shard/store/local"
	"actfleet/shard/store/mem"
	"actfleet/trainer/coder"
	"actfleet/trainer/codes"
	"actfleet/trainer/measure"
	"actfleet/trainer/recipe"
	"actfleet/trainer/stream"
	"actfleet/trainer/vq"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const width = 16

// source commits a run to a store in memory.
func source(tb testing.TB, r shardtest.Run) stream.Source {
	st := mem.New(time.Now)
	return stream.Source{Store: st, Plan: r.Write(tb, st)}
}

// made is a run of sparse sums of directions, in four units.
func made(t testing.TB) stream.Source { return madeUnder(t, nil) }

// madeUnder is made, as a ring if there is one.
func madeUnder(t testing.TB, ring *run.Ring) stream.Source {
	r := shardtest.Run{Tokens: "all", Units: 4, Ring: ring, Rows: make([]shardtest.Row, 600),
		Vectors: []shard.Vector{{Name: "fc2_3", Width: width, Dtype: shard.F16}, {Name: "resid_4", Width: 10, Dtype: shard.F32}},
		Fill: func(column int, row int64, pos int32, dst []float32) {
			for j := range dst {
				dst[j] = 1
			}
			for a := range 2 {
				i := (int(row)*int(row) + int(pos)*13 + a*5*int(row%7)) % 24
				for j := range dst {
					dst[j] += float32(math.Sin(float64(i*width+j+100*column)*1.7)) * (1 + 0.3*float32(a))
				}
			}
		}}
	for i := range r.Rows {
		r.Rows[i] = shardtest.Row{Tokens: 2 + i%9, Group: string(rune('a' + i%50)), Split: "train"}
	}
	return source(t, r)
}

func job(t testing.TB, kind, dir string, src stream.Source) Job {
	c := recipe.Default(kind)
	c.SAE.Width, c.SAE.K, c.VQ.Codes, c.Loop.InitRows = 48, 3, 24, 500
	c.Loop.Batch, c.Loop.Micro, c.Loop.Steps, c.Data.ShuffleWindow = 128, 50, 60, 3
	c.Loop.CheckpointSteps, c.Loop.EvalSteps, c.Loop.LogSteps, c.Loop.EvalRows = 7, 25, 5, 300
	c.SAE.DeadTokens = 1000
	return Job{Dir: dir, Runs: []stream.Source{src}, Column: "fc2_3", Recipe: c, Now: time.Now}
}

// archJob is job of a kind, or of an autoencoder of another architecture.
func archJob(t testing.TB, kind, dir string, src stream.Source) Job {
	if kind == coder.SAE || kind == coder.VQ {
		return job(t, kind, dir, src)
	}
	if _, err := vq.ParseArch(kind); err == nil {
		j := job(t, coder.VQ, dir, src)
		j.Recipe.VQ.Arch, j.Recipe.VQ.Hidden, j.Recipe.VQ.CodeWidth, j.Recipe.VQ.Levels = kind, 20, 5, []float64{4, 3}
		return j
	}
	j := job(t, coder.SAE, dir, src)
	for _, set := range append(strings.Fields(families[kind]), "penalty=0.1") {
		if err := j.Recipe.Set(set); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

// families are settings of autoencoders, each trained in another way.
var families = map[string]string{
	"multitopk":           "arch=multitopk optimizer=signsgd lr=1e-2 cooldown=0",
	"batchtopk":           "arch=batchtopk",
	"matryoshka":          "arch=matryoshka",
	"matryoshka sampled":  "arch=matryoshka sampled=true",
	"relu":                "arch=relu tied_bias=false data_init=0.8",
	"relu_april":          "arch=relu_april optimizer=adamw cosine=true",
	"p_anneal":            "arch=relu sparsity=p_anneal resample_steps=5 dead_tokens=300",
	"hoyer":               "arch=relu sparsity=hoyer",
	"group":               "arch=relu sparsity=group",
	"group_hoyer":         "arch=relu sparsity=group_hoyer group_size=4",
	"gated":               "arch=gated resample_steps=5 dead_tokens=300",
	"jumprelu":            "arch=jumprelu ema=0.9 target_l0=4",
	"jumprelu_tanh":       "arch=jumprelu_tanh",
	"transcoder":          "target=resid_4 optimizer=adafactor lr=0.05",
	"transcoder and skip": "arch=batchtopk target=resid_4 skip=true",
	"crosscoder":          "arch=relu_april beside=resid_4",
}

func weights(t testing.TB, dir string) string {
	t.Helper()
	sum, err := coder.HashFile(filepath.Join(dir, coder.WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// events is metrics.jsonl without the times.
func events(t testing.TB, dir string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, coder.MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		delete(m, "seconds")
		delete(m, "starved")
		out, _ := json.Marshal(m)
		lines = append(lines, string(out))
	}
	return lines
}

// A training that is interrupted again and again ends with the weights, the metrics
// and the checkpoint of one that was not.
func TestResumeBitForBit(t *testing.T) {
	for _, kind := range append(slices.Sorted(maps.Keys(families)), coder.SAE, coder.VQ,
		string(vq.Gradient), string(vq.Residual), string(vq.Product), string(vq.IRIS), string(vq.FSQ)) {
		t.Run(kind, func(t *testing.T) {
			job := archJob
			src := made(t)
			whole := t.TempDir()
			res, err := Train(t.Context(), job(t, kind, whole, src))
			if err != nil {
				t.Fatal(err)
			}
			if res.Steps != 60 || res.Eval["fvu"] == 0 && kind != coder.VQ || res.Eval["fvu"] > 0.9 {
				t.Errorf("result %+v", res)
			}
			parts := t.TempDir()
			for stops := 0; ; stops++ {
				j := job(t, kind, parts, src)
				j.Resume = true
				ctx, cancel := context.WithCancel(t.Context())
				seen := 0
				j.Progress = func(e coder.Event) {
					if seen++; seen == 4 { // in the middle of nowhere
						cancel()
					}
				}
				_, err := Train(ctx, j)
				cancel()
				if err == nil {
					if stops < 2 {
						t.Errorf("interrupted only %d times", stops)
					}
					break
				}
				if !errors.Is(err, ErrInterrupted) {
					t.Fatal(err)
				}
			}
			if weights(t, whole) != weights(t, parts) {
				t.Error("the weights differ")
			}
			if a, b := events(t, whole), events(t, parts); !slices.Equal(a, b) {
				t.Errorf("metrics differ:\n%s\nand\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
			}
			a, _ := coder.HashFile(filepath.Join(whole, ckpts{Place: Place{Dir: coder.CkptDir}}.key(60, arraysExt)))
			b, _ := coder.HashFile(filepath.Join(parts, ckpts{Place: Place{Dir: coder.CkptDir}}.key(60, arraysExt)))
			if a == "" || a != b {
				t.Error("the last checkpoints differ")
			}
		})
	}
}

// Killed without a last checkpoint, the training goes on from the one before and
// still ends the same; a damaged newest checkpoint is passed over.
func TestResumeAfterCrash(t *testing.T) {
	src := made(t)
	whole, parts := t.TempDir(), t.TempDir()
	if _, err := Train(t.Context(), job(t, coder.SAE, whole, src)); err != nil {
		t.Fatal(err)
	}
	j := job(t, coder.SAE, parts, src)
	crash := errors.New("crash")
	func() {
		defer func() {
			if recover() != crash {
				t.Error("no crash")
			}
		}()
		j.Progress = func(e coder.Event) {
			if e.Step == 40 {
				panic(crash)
			}
		}
		_, _ = Train(t.Context(), j)
	}()
	st, err := local.New(parts)
	if err != nil {
		t.Fatal(err)
	}
	saved := ckpts{Place: Place{Store: st, Dir: coder.CkptDir}}
	if whole, _, err := saved.steps(t.Context()); err != nil || !slices.Equal(whole, []int{35, 28}) {
		t.Fatalf("checkpoints %v, %v", whole, err)
	}
	path := filepath.Join(parts, saved.key(35, arraysExt))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)-5] ^= 1
	left := filepath.Join(parts, saved.key(21, arraysExt))
	if err := errors.Join(os.WriteFile(path, text, 0o600), os.WriteFile(left, text, 0o600)); err != nil {
		t.Fatal(err)
	}
	j.Progress, j.Resume = nil, true
	if _, err := Train(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if weights(t, whole) != weights(t, parts) {
		t.Error("the weights differ")
	}
	if !slices.Equal(events(t, whole), events(t, parts)) {
		t.Error("the metrics differ")
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("what the crash left is still there")
	}
}

// Micro-batches change memory, not the result (beyond rounding).
func TestMicroBatches(t *testing.T) {
	src := made(t)
	var loss []float64
	for _, micro := range []int{128, 50, 7} {
		j := job(t, coder.SAE, t.TempDir(), src)
		j.Recipe.Loop.Micro, j.Recipe.Loop.Steps = micro, 15
		res, err := Train(t.Context(), j)
		if err != nil {
			t.Fatal(err)
		}
		loss = append(loss, res.Eval["fvu"])
	}
	for _, l := range loss[1:] {
		if math.Abs(l-loss[0]) > 1e-3*loss[0] {
			t.Errorf("fvu by micro-batch: %v", loss)
		}
	}
}

func TestTrainRefuses(t *testing.T) {
	src := made(t)
	dir := t.TempDir()
	first := job(t, coder.VQ, dir, src)
	first.Recipe.Loop.Steps = 3
	if _, err := Train(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if _, err := Train(t.Context(), first); !errors.Is(err, ErrExists) {
		t.Errorf("a second training: %v", err)
	}
	other := first
	other.Resume, other.Recipe.VQ.Decay, other.Recipe.Seed = true, .5, 1<<63+1
	if _, err := Train(t.Context(), other); !errors.Is(err, ErrOther) ||
		!strings.Contains(err.Error(), "decay: 0.5 here, 0.95 in the folder") || !strings.Contains(err.Error(), "seed: 9223372036854775809 here, 0") {
		t.Errorf("another config: %v", err)
	}
	again, lines := first, events(t, dir)
	again.Resume = true
	if res, err := Train(t.Context(), again); err != nil || res.Steps != 3 {
		t.Errorf("resuming what has ended: %+v, %v", res, err)
	}
	if now := events(t, dir); !slices.Equal(now, lines) {
		t.Errorf("resuming what has ended changes the metrics from %v to %v", lines, now)
	}
	for name, change := range map[string]func(*Job){
		"column": func(j *Job) { j.Column = "fc9_9" },
		"where":  func(j *Job) { j.Recipe.Data.Where = []string{"split=nowhere"} },
		"config": func(j *Job) { j.Recipe.Loop.Batch = 0 },
		"kind":   func(j *Job) { j.Recipe.Kind = coder.Probe },
	} {
		j := job(t, coder.VQ, filepath.Join(t.TempDir(), "new"), src)
		change(&j)
		if _, err := Train(t.Context(), j); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := os.Stat(j.Dir); err == nil {
			t.Errorf("%s: a refused training left a folder", name)
		}
	}
}

// A 64-bit seed survives cfg.json, and Evaluate gives the metrics of the training.
func TestEvaluate(t *testing.T) {
	src := made(t)
	j := job(t, coder.SAE, t.TempDir(), src)
	j.Recipe.Seed, j.Recipe.Loop.Steps, j.Recipe.Loop.EvalRows = 1<<63+3, 20, 1<<20
	res, err := Train(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	e, c, err := measure.Evaluate(t.Context(), j.Dir, j.Runs, measure.EvalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m := e.Metrics
	for name, v := range res.Eval {
		if math.Abs(m[name]-v) > 1e-4*(1+math.Abs(v)) {
			t.Errorf("%s: %v from the file, %v in training", name, m[name], v)
		}
	}
	if c.Seed != 1<<63+3 || c.Site != "fc2" || c.Layer != 3 || c.DIn != width || c.PlanIDs[0] != src.Plan.ID() {
		t.Errorf("coder %+v", c)
	}
	all, _, err := measure.Evaluate(t.Context(), j.Dir, j.Runs, measure.EvalOptions{All: true})
	if err != nil || all.Metrics["rows"] <= m["rows"] || all.Heldout || !e.Heldout {
		t.Errorf("all rows: %v, %v", all.Metrics["rows"], err)
	}
	if id, err := coder.ID(j.Dir); err != nil || !strings.HasPrefix(id, "sae_fc2_3_") {
		t.Errorf("id %q, %v", id, err)
	}
}

// Where checkpoints cannot be written the training ends with an error that says so,
// and leaves no weights.
func TestCheckpointFails(t *testing.T) {
	j := job(t, coder.VQ, t.TempDir(), made(t))
	if err := os.WriteFile(filepath.Join(j.Dir, coder.CkptDir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Train(t.Context(), j); err == nil || !strings.Contains(err.Error(), "checkpoint") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(j.Dir, coder.WeightsFile)); err == nil {
		t.Error("weights were written")
	}
}

// A cfg.json that claims absurd sizes gives an error, not memory.
func TestHostileCfg(t *testing.T) {
	src := made(t)
	j := job(t, coder.SAE, t.TempDir(), src)
	j.Recipe.Loop.Steps = 2
	res, err := Train(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*coder.Card){
		"wide":     func(c *coder.Card) { c.Width, c.DIn = 1<<40, 1<<40 },
		"deep":     func(c *coder.Card) { c.K = c.Width + 1 },
		"kind":     func(c *coder.Card) { c.Kind = "what" },
		"vq":       func(c *coder.Card) { c.Kind, c.Config = coder.VQ, recipe.Default(coder.VQ).Effective() },
		"negative": func(c *coder.Card) { c.DIn = -4 },
		"config":   func(c *coder.Card) { c.Config = map[string]any{"batch": "many"} },
	} {
		c := res.Card
		change(&c)
		if err := coder.WriteCard(j.Dir, c); err != nil {
			t.Fatal(err)
		}
		if _, _, err := measure.Evaluate(t.Context(), j.Dir, j.Runs, measure.EvalOptions{}); err == nil {
			t.Errorf("%s: Evaluate accepts it", name)
		}
		if _, err := codes.Encode(t.Context(), j.Dir, src, nil); err == nil {
			t.Errorf("%s: Encode accepts it", name)
		}
	}
}
