package recipe

import (
	"errors"
	"strings"
	"testing"
	"time"

	"actfleet/internal/smallfile"
	"actfleet/trainer/coder"
)

// What ParseCard and Of accept is valid, under the names of today too, and small enough to be counted with.
func FuzzCard(f *testing.F) {
	f.Add([]byte(`{"kind":"sae","arch":"topk","width":8,"k":2,"d_in":4,"plan_ids":["x"],"config":{"batch":7,"where":[],"seed":18446744073709551615}}`))
	f.Add([]byte(`{"kind":"vq","width":8,"d_in":4,"config":{"arch":"fsq","levels":[8,5,1073741824],"ids":1048577,"batch":1000000000000}}`))
	f.Add([]byte(`{"config":{"l2":[1,2]},"kind":"probe","probes":[{"id":"logistic_fc2_3","d":0}]}`))
	f.Add([]byte(`{"kind":"sae","width":9007199254740993,"k":-1,"d_in":1,"parts":[1,-1]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := coder.ParseCard(text)
		if err != nil {
			return
		}
		if cfg, err := Of(c); err == nil {
			if cfg.Validate() != nil {
				t.Error("an invalid config is accepted")
			}
			cfg.Resolve(max(c.DIn, 1), 1000)
			_, _ = cfg.VQ.Learner(cfg.Loop, cfg.Seed).Dims(c.DIn)
		}
		_ = c.Difference(Renamed(coder.Card{Kind: c.Kind}))
	})
}

// What parseSweep accepts is a list of valid learners, each with a name that stays in its folder.
func FuzzParseSweep(f *testing.F) {
	f.Add([]byte("common: {steps: 50, k: 8, where: [label=1]}\nlearners:\n  - {kind: sae, site: fc2, layers: [1, 3], width: [64, 128], seed: [0, 1]}\n  - {kind: tokenizer, codes: 32, name: small}\n"))
	f.Add([]byte("learners: [{kind: sae, importance: [../../x, /etc/y]}]"))
	f.Add([]byte("a: &a [1, 1]\nb: &b [*a, *a]\nlearners: [{kind: sae, width: *b}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		plans, err := parseSweep("sweep.yaml", text, []string{"batch=64"})
		if err != nil {
			return
		}
		if len(plans) == 0 || len(plans) > maxLearners {
			t.Errorf("%d learners", len(plans))
		}
		for _, p := range plans {
			if strings.ContainsAny(p.Name, "/\\\x00") || p.Recipe.Validate() != nil {
				t.Errorf("learner %q", p.Name)
			}
		}
	})
}

// A sweep that asks for far too much is refused at once, before it is expanded.
func TestSweepsThatExplodeAreRefusedAtOnce(t *testing.T) {
	list := func(key string, n int) string { return key + ": [" + numbers(n) + "]" }
	aliases := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'l'; c++ {
		aliases += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 10), ",") + "]\n"
	}
	for name, text := range map[string]string{
		"crossed":  "learners: [{kind: sae, " + strings.Join([]string{list("seed", 4000), list("k", 4000), list("width", 4000)}, ", ") + "}]",
		"aliases":  aliases + "learners: [{kind: sae, name: *k, width: *k}]",
		"brackets": "learners: " + strings.Repeat("[", 60000),
		"maps":     "learners: " + strings.Repeat("{a: ", 16000),
		"dashes":   "learners:\n  " + strings.Repeat("- ", 32000),
		"long":     "learners: [" + numbers(40000) + "]",
	} {
		began := time.Now()
		if _, err := LoadSweep(write(t, text), nil); err == nil || len(err.Error()) > 1<<20 {
			t.Errorf("%s: %.200v", name, err)
		}
		if took := time.Since(began); took > 20*time.Second { // it was minutes, or all memory
			t.Errorf("%s: refused after %s", name, took)
		}
	}
	if _, err := Load(coder.SAE, t.TempDir(), nil); !errors.Is(err, smallfile.ErrNotRegular) {
		t.Errorf("a folder as a file: %v", err)
	}
}

// A value in a list never leads out of the sweep's folder.
func TestSweepNamesStayInTheirFolder(t *testing.T) {
	plans, err := parseSweep("x", []byte("learners: [{kind: sae, importance: [../../x, /etc/y]}]"), nil)
	if err != nil || len(plans) != 2 || plans[0].Name != "sae-importance.._.._x" || plans[1].Name != "sae-importance_etc_y" {
		t.Errorf("%+v, %v", plans, err)
	}
}
