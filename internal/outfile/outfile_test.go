package outfile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put makes files, with the folders they lie in.
func put(t testing.TB, root string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(root, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte("theirs"), 0o644))
	}
}

func names(t testing.TB, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func mine(head []byte) bool { return strings.HasPrefix(string(head), "mine") }

func TestPlaceRefusesWhatIsNotOurs(t *testing.T) {
	root := t.TempDir()
	put(t, root, "run/plan.json", "run/acts/unit-000000.parquet", "run/input/rows-ab.parquet", "bare/acts/unit-000001.parquet", "model/config.json", "model/model.safetensors",
		"coders/a/cfg.json", "coders/a/coder.safetensors", "theirs.html", "empty-run/plan.json", "dir/x")
	must(t, os.WriteFile(filepath.Join(root, "mine.html"), []byte("mine, the page"), 0o644))
	for link, to := range map[string]string{"link.html": "run/acts/unit-000000.parquet", "acts": "run/acts", "toModel": "model", "nowhere.html": "gone/x.html", "toMine.html": "mine.html"} {
		must(t, os.Symlink(filepath.Join(root, to), filepath.Join(root, link)))
	}
	for path, want := range map[string]string{
		"new.html":                         "",
		"run/report.html":                  "",
		"coders/report.html":               "",
		"mine.html":                        "--force",
		"toMine.html":                      "--force",
		"theirs.html":                      "did not write",
		"dir":                              "no regular file",
		"run/acts/unit-000000.parquet":     "shards or prompts",
		"run/acts/report.html":             "shards or prompts",
		"run/input/report.html":            "shards or prompts",
		"run/plan.json":                    "is a run",
		"run/manifest.json":                "is a run",
		"empty-run/acts/report.html":       "is a run",
		"empty-run/input/a/b.html":         "is a run",
		"bare/acts/r.html":                 "shards or prompts",
		"model/r.html":                     "is a model",
		"model/sub/r.html":                 "is a model",
		"coders/a/r.html":                  "is the folder of a coder",
		"coders/a/checkpoints/r.html":      "is the folder of a coder",
		"link.html":                        "shards or prompts",
		"acts/r.html":                      "shards or prompts",
		"dir/../run/acts/r.html":           "shards or prompts",
		"coders/../toModel/r.html":         "is a model",
		"nowhere.html":                     "leads nowhere",
		"nowhere.html/x":                   "leads nowhere",
		"run/diverged/../codes/../acts/zz": "shards or prompts",
	} {
		_, err := Place(filepath.Join(root, path), mine, false)
		if want == "" && err != nil || want != "" && (!errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
		_, err = Place(filepath.Join(root, path), mine, true)
		if (want == "" || want == "--force") != (err == nil) {
			t.Errorf("%s with force: %v", path, err)
		}
	}
	at, err := Place(filepath.Join(root, "toMine.html"), mine, true)
	if err != nil || filepath.Base(at) != "mine.html" {
		t.Errorf("a link to ours leads to %s, %v", at, err)
	}
}

func TestCheckFolder(t *testing.T) {
	root := t.TempDir()
	put(t, root, "run/plan.json", "coder/cfg.json", "coder/metrics.jsonl")
	for path, fine := range map[string]bool{"a/b/c": true, "run/mine": true, "run/acts/x": false, "run/codes": false, "coder/export": false} {
		if err := CheckFolder(filepath.Join(root, path)); (err == nil) != fine {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestWriteIsWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.json")
	must(t, Replace(path, []byte("first")))
	failed := errors.New("no")
	err := Write(path, func(f *os.File) error { return errors.Join(failed, f.Truncate(3)) })
	if !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
	data, err := os.ReadFile(path)
	must(t, err)
	if string(data) != "first" || !slices.Equal(names(t, dir), []string{"x.json"}) {
		t.Errorf("%q, %q", data, names(t, dir))
	}
	must(t, Replace(path, []byte("second")))
	info, err := os.Stat(path)
	must(t, err)
	if info.Size() != 6 || info.Mode().Perm() != 0o644 {
		t.Errorf("%v", info.Mode())
	}
}

// Names of every kind and length can be written to.
func TestWriteTakesAnyName(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"*", "a*b*", strings.Repeat("n", 255), "-dash", " ", "日本\n", "[x]?"} {
		must(t, Replace(filepath.Join(dir, name), nil))
	}
	if n := len(names(t, dir)); n != 7 {
		t.Errorf("%d files", n)
	}
}

// Leftovers of this place go, when they are old; those of others, and the user's, stay.
func TestLeftoversAreSwept(t *testing.T) {
	dir := t.TempDir()
	all := []string{".x.json.tmp-1", ".x.json.tmp-22", ".x.json.tmp-3", ".x.json.tmp-mine", ".y.json.tmp-1"}
	put(t, dir, all...)
	old := time.Now().Add(-2 * leftoverAge)
	for _, name := range []string{".x.json.tmp-1", ".x.json.tmp-22", ".x.json.tmp-mine", ".y.json.tmp-1"} {
		must(t, os.Chtimes(filepath.Join(dir, name), old, old))
	}
	must(t, Replace(filepath.Join(dir, "x.json"), nil))
	if got := names(t, dir); !slices.Equal(got, []string{".x.json.tmp-3", ".x.json.tmp-mine", ".y.json.tmp-1", "x.json"}) {
		t.Errorf("%q", got)
	}
}
