package recipe

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/trainer/coder"
)

func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	path := write(t, "width: 4096\nlr: 1e-3\nwhere: [split=train, label=1]\nseed: 18446744073709551615\nscale: false\n")
	c, err := Load(coder.SAE, path, []string{"width=512", "tokens=every:2", "where=a=b,c=01", "steps=0", "epochs=3"})
	if err != nil {
		t.Fatal(err)
	}
	if c.SAE.Width != 512 || c.Loop.LR != 1e-3 || c.Data.Tokens != "every:2" || c.Seed != 1<<64-1 || c.SAE.Scale || c.Loop.Epochs != 3 {
		t.Errorf("got %+v", c)
	}
	if !slices.Equal(c.Data.Where, []string{"a=b", "c=01"}) {
		t.Errorf("where %q", c.Data.Where)
	}
	p, err := Load(coder.Probe, "", []string{"l2=0.1,1", "kinds=mass_mean", "label=truth"})
	if err != nil || !slices.Equal(p.Probe.L2, []float64{.1, 1}) || !slices.Equal(p.Probe.Kinds, []string{"mass_mean"}) || p.Probe.Label != "truth" {
		t.Errorf("probe: %+v, %v", p, err)
	}
	if p, err = Load(coder.Probe, "", []string{"l2=0.5"}); err != nil || !slices.Equal(p.Probe.L2, []float64{.5}) {
		t.Errorf("one penalty: %v %v", p.Probe.L2, err)
	}
	for _, kind := range kinds {
		if err := Default(kind).Validate(); err != nil {
			t.Errorf("default of %s: %v", kind, err)
		}
	}
}

// Keys that were renamed are read under their old names, and are no difference between two cards.
func TestOldKeys(t *testing.T) {
	r, err := Load(coder.VQ, write(t, "revive: 0.3\n"), []string{"lloyd=7"})
	if err != nil || r.VQ.DeadShare != 0.3 || r.VQ.KMeansSteps != 7 {
		t.Errorf("%+v, %v", r.VQ, err)
	}
	now := coder.Card{Kind: coder.VQ, DIn: 8, Width: 512, Config: r.Effective()}
	old := coder.Card{Kind: coder.VQ, DIn: 8, Width: 512, Config: r.Effective()}
	for was, is := range renamed {
		if v, ok := old.Config[is]; ok {
			old.Config[was] = v
			delete(old.Config, is)
		}
	}
	dir := t.TempDir()
	if err := coder.WriteCard(dir, old); err != nil {
		t.Fatal(err)
	}
	there, err := coder.ReadCard(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := now.Difference(Renamed(there)); len(diff) > 0 {
		t.Errorf("the old names differ: %v", diff)
	}
	if back, err := Of(there); err != nil || back.VQ.KMeansSteps != 7 || back.VQ.DeadShare != 0.3 {
		t.Errorf("%+v, %v", back.VQ, err)
	}
}

// Every problem is in the one error.
func TestConfigProblems(t *testing.T) {
	_, err := Load(coder.SAE, write(t, "widht: 3\ncodes: 4\nbatch: 1.5\n"), []string{"k=0", "lr=fast", "steps=0", "noequals", "holdout=2"})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"widht: unknown key; did you mean width?", "codes: a key of vq, not of sae", "batch: 1.5 is not a whole number",
		"k is 0, must be at least 1", "lr: fast is not a number", "steps and epochs are both 0", `"noequals"`, "holdout is 2"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("no %q in:\n%v", part, err)
		}
	}
	for _, c := range []struct{ kind, file, set string }{
		{"what", "", ""}, {coder.SAE, "a: [", ""}, {coder.SAE, "", "k=9000"}, {coder.VQ, "", "codes=100000"}, {coder.VQ, "", "arch=vae"}, {coder.VQ, "", "ids=2"}, {coder.VQ, "", "levels=8,1.5"}, {coder.VQ, "", "levels="}, {coder.VQ, "", "loss=l1"}, {coder.Probe, "", "kinds=svn"}, {coder.Probe, "", "l2=-1"}, {coder.SAE, "- 1\n", ""},
	} {
		path := ""
		if c.file != "" {
			path = write(t, c.file)
		}
		var sets []string
		if c.set != "" {
			sets = []string{c.set}
		}
		if _, err := Load(c.kind, path, sets); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
	if _, err := Load(coder.SAE, "/does/not/exist.yaml", nil); err == nil {
		t.Error("a missing file is accepted")
	}
}

func FuzzSetting(f *testing.F) {
	for _, s := range []string{"k=1", "=", "lr=1e-3", "where=a=b", "seed=-1", "scale=maybe", "k=[1]", "lr={a: b}", "k=99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := Load(coder.SAE, "", []string{s}); err == nil && c.Validate() != nil {
			t.Errorf("%q gives an invalid config without an error", s)
		}
	})
}

// A probe folder of before there were other kinds loads as what it was.
func TestOldProbeCards(t *testing.T) {
	const old = `{"kind":"probe","arch":"linear","layer":0,"width":2,"d_in":4,"plan_ids":["x"],"units":[1],"seed":7,
		"config":{"tokens":"last","where":[],"seed":7,"kinds":["logistic","mass_mean"],"l2":[0.001,1],"label":"label","label_map":[],"group":"group",
		"split":"split","near_duplicates":0.01,"max_iter":1000,"directions":100},
		"probes":[{"id":"logistic_fc2_1","kind":"logistic","column":"fc2_1","d":4,"l2":0.001,"converged":true,"iterations":9,"gradient":1e-6,"train_loss":0.1,"val_loss":0.2}]}`
	c, err := coder.ParseCard([]byte(old))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Of(c)
	if err != nil || r.Seed != 7 || r.Probe.Balanced || !slices.Equal(r.Probe.Kinds, []string{"logistic", "mass_mean"}) || r.Probe.MaxIter != 1000 {
		t.Errorf("%+v, %v", r.Probe, err)
	}
}

// L10: importance is one named thing, |w| over its mean: a weight's sign and the scale of all of them mean nothing, and 0, by
// which a feature would silently be left out, is refused.
func TestNeverAgainL10ImportanceHasNoSign(t *testing.T) {
	signed, err := readImportance(write(t, "[1, -3, 2, -2]"), 4)
	if err != nil {
		t.Fatal(err)
	}
	scaled, err := readImportance(write(t, "[10, 30, -20, 20]"), 4)
	if err != nil || !slices.Equal(signed, []float32{.5, 1.5, 1, 1}) || !slices.Equal(signed, scaled) {
		t.Errorf("%v and %v, %v", signed, scaled, err)
	}
	if _, err := readImportance(write(t, "[1, 0, 2]"), 3); err == nil {
		t.Error("a weight of 0 is accepted")
	}
}
