package trainer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadConfig(t *testing.T) {
	path := write(t, "width: 4096\nlr: 1e-3\nwhere: [split=train, label=1]\nseed: 18446744073709551615\nscale: false\n")
	c, err := LoadConfig(SAE, path, []string{"width=512", "tokens=every:2", "where=a=b,c=01", "steps=0", "epochs=3"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Width != 512 || c.LR != 1e-3 || c.Tokens != "every:2" || c.Seed != 1<<64-1 || c.Scale || c.Epochs != 3 {
		t.Errorf("got %+v", c)
	}
	if !slices.Equal(c.Where, []string{"a=b", "c=01"}) {
		t.Errorf("where %q", c.Where)
	}
	p, err := LoadConfig(Probe, "", []string{"l2=0.1,1", "kinds=mass_mean", "label=truth"})
	if err != nil || !slices.Equal(p.L2, []float64{.1, 1}) || !slices.Equal(p.Kinds, []string{"mass_mean"}) || p.Label != "truth" {
		t.Errorf("probe: %+v, %v", p, err)
	}
	if p, err = LoadConfig(Probe, "", []string{"l2=0.5"}); err != nil || !slices.Equal(p.L2, []float64{.5}) {
		t.Errorf("one penalty: %v %v", p.L2, err)
	}
	for _, kind := range strings.Fields(anyKind) {
		if err := Default(kind).Validate(kind); err != nil {
			t.Errorf("default of %s: %v", kind, err)
		}
	}
}

// Keys that were renamed are read under their old names, and are no difference between two coders.
func TestOldKeys(t *testing.T) {
	c, err := LoadConfig(VQ, write(t, "revive: 0.3\n"), []string{"lloyd=7"})
	if err != nil || c.DeadShare != 0.3 || c.KMeansSteps != 7 {
		t.Errorf("%+v, %v", c, err)
	}
	now := Coder{Kind: VQ, DIn: 8, Config: c.Effective(VQ)}
	old := Coder{Kind: VQ, DIn: 8, Config: c.Effective(VQ)}
	for was, is := range oldKeys {
		old.Config[was] = old.Config[is]
		delete(old.Config, is)
	}
	dir := t.TempDir()
	if err := WriteCoder(dir, old); err != nil {
		t.Fatal(err)
	}
	if old, err = ReadCoder(dir); err != nil {
		t.Fatal(err)
	}
	if diff := now.Difference(old); len(diff) > 0 {
		t.Errorf("a coder of an earlier version differs: %v", diff)
	}
	if read, err := old.config(); err != nil || read.DeadShare != 0.3 || read.KMeansSteps != 7 {
		t.Errorf("cfg.json of an earlier version gives %+v, %v", read, err)
	}
}

// Every problem is in the one error.
func TestConfigProblems(t *testing.T) {
	_, err := LoadConfig(SAE, write(t, "widht: 3\ncodes: 4\nbatch: 1.5\n"), []string{"k=0", "lr=fast", "steps=0", "noequals", "holdout=2"})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"widht: unknown key; sae has tokens", "codes: a key of vq, not of sae", "batch: 1.5 is not a whole number",
		"k is 0, must be at least 1", "lr: fast is not a number", "steps and epochs are both 0", `"noequals"`, "holdout is 2"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("no %q in:\n%v", part, err)
		}
	}
	for _, c := range []struct{ kind, file, set string }{
		{"what", "", ""}, {SAE, "a: [", ""}, {SAE, "", "k=9000"}, {VQ, "", "codes=100000"}, {VQ, "", "arch=vae"}, {VQ, "", "ids=2"}, {VQ, "", "levels=8,1.5"}, {VQ, "", "levels="}, {VQ, "", "loss=l1"}, {Probe, "", "kinds=svm"}, {Probe, "", "l2=-1"}, {SAE, "- 1\n", ""},
	} {
		path := ""
		if c.file != "" {
			path = write(t, c.file)
		}
		var sets []string
		if c.set != "" {
			sets = []string{c.set}
		}
		if _, err := LoadConfig(c.kind, path, sets); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
	if _, err := LoadConfig(SAE, "/does/not/exist.yaml", nil); err == nil {
		t.Error("a missing file is accepted")
	}
}

func FuzzSetting(f *testing.F) {
	for _, s := range []string{"k=1", "=", "lr=1e-3", "where=a=b", "seed=-1", "scale=maybe", "k=[1]", "lr={a: b}", "k=99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := LoadConfig(SAE, "", []string{s}); err == nil && c.Validate(SAE) != nil {
			t.Errorf("%q gives an invalid config without an error", s)
		}
	})
}
