package arrows

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"strings"
	"testing"
)

const module = "actfleet"

// may lists, for a package or a tree of packages ("x/..."), which packages and trees of ours it may import. The longest
// matching entry holds; a tree may import itself only where it says so. docs/design.md says why.
var may = map[string][]string{
	"cmd/...":                        {"..."},
	"scripts/...":                    {"..."},
	"collector":                      {"coordinator", "shard/...", "collector/model/...", "collector/dataset", "internal/torch"},
	"collector/collectbench":         {"collector/...", "coordinator", "shard/..."},
	"collector/generate":             {"collector/dataset", "collector/model", "collector/model/sampling", "shard/tap"},
	"collector/behave":               {"collector", "collector/dataset", "collector/model"},
	"collector/steer":                {"collector/model", "shard/tap"},
	"collector/forecast":             {},
	"collector/node":                 {"collector", "collector/dataset", "coordinator", "coordinator/gossip", "shard/..."},
	"collector/dataset":              {"shard/tap"},
	"collector/model/...":            {"collector/model/...", "shard/tap", "internal/torch", "internal/safetensors", "internal/mapped", "internal/smallfile"},
	"collector/model/bpe":            {"internal/smallfile"},
	"collector/model/hub":            {"internal/smallfile"},
	"collector/model/quant":          {"internal/safetensors"},
	"collector/model/adapter":        {"collector/model/arch", "collector/model/layer", "shard/tap", "internal/torch", "internal/safetensors", "internal/smallfile", "internal/pickle", "internal/array"},
	"collector/dataset/chat":         {"collector/dataset", "internal/smallfile"},
	"collector/dataset/chat/sandbox": {"collector/dataset", "collector/dataset/chat", "internal/memlimit"},
	"collector/model/gguf":           {"internal/mapped"},
	"coordinator/...":                {"coordinator/..."},
	"shard/...":                      {"shard/...", "internal/mapped"},
	"shard/store/local":              {"shard/...", "internal/mapped", "internal/outfile"},
	"shard/store/s3/s3test":          {"shard/...", "internal/testnet"},
	"shard/tap":                      {},
	"trainer/...":                    {"shard/...", "trainer/...", "internal/torch", "internal/safetensors", "internal/outfile", "internal/mapped", "internal/smallfile", "internal/nearest", "internal/array", "internal/archive", "internal/pickle"},
	"trainer/coder":                  {"shard/tap", "internal/outfile", "internal/smallfile"},
	"trainer/crew":                   {"trainer/...", "coordinator", "coordinator/rendezvous", "internal/torch/..."},
	"analysis/describe":              {"internal/mapped", "shard/...", "analysis/evaluate", "trainer/coder"},
	"analysis/...":                   {"internal/smallfile", "internal/memlimit", "shard/...", "analysis/...", "trainer/coder"},
	"internal/torch/...":             {"internal/torch/..."},
	"internal/safetensors":           {"internal/mapped", "internal/smallfile", "internal/outfile"},
	"internal/array":                 {"internal/safetensors"},
	"internal/archive":               {},
	"internal/pickle":                {"internal/array", "internal/archive", "internal/safetensors"},
	"internal/outfile":               {},
	"internal/smallfile":             {},
	"internal/memlimit":              {},
	"internal/mapped":                {},
	"internal/arrows":                {},
	"internal/nearest":               {},
	"internal/testnet":               {},
}

// only lists foreign libraries and the one tree of ours that may import each.
var only = map[string][]string{
	"github.com/sugarme/gotch":           {"internal/torch/..."},
	"github.com/parquet-go/parquet-go":   {"shard", "collector/dataset"},
	"github.com/apache/arrow":            {"shard/arrow", "collector/dataset"},
	"github.com/nikolalohinski/gonja":    {"collector/dataset/chat"},
	"github.com/ncruces/go-strftime":     {"collector/dataset/chat"},
	"github.com/duckdb":                  {"analysis"},
	"github.com/hashicorp/memberlist":    {"coordinator/gossip"},
	"github.com/spf13/cobra":             {"cmd/..."},
	"github.com/charmbracelet/bubbletea": {"cmd/actfleet/watch"},
	"github.com/prometheus":              {"cmd/..."},
	"github.com/minio/minio-go":          {"shard/store/s3", "shard/store/s3/s3test"},
	"github.com/cenkalti/backoff":        {"shard/store/retry"},
	"google.golang.org/protobuf":         {"trainer/tfevents"},
	"github.com/agnivade/levenshtein":    {"internal/nearest"},
	"github.com/dlclark/regexp2":         {"collector/model/bpe"},
}

// pure lists the packages that must build without cgo, whatever they import.
var pure = []string{"shard/...", "coordinator/...", "collector/dataset/...", "collector/forecast", "collector/model/bpe", "internal/mapped", "internal/outfile", "internal/smallfile", "internal/memlimit", "internal/safetensors", "collector/model/gguf", "trainer/coder",
	"internal/array", "internal/archive", "trainer/export/npy", "internal/pickle", "trainer/folder"}

type pkg struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
	CgoFiles     []string
	Doc          string
	Name         string
}

func TestArrows(t *testing.T) {
	all := list(t)
	for _, p := range all {
		from := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, to := range p.Imports {
			if err := allowed(from, to); err != nil {
				t.Errorf("%s imports %s: %v", from, to, err)
			}
		}
		for _, to := range append(p.TestImports, p.XTestImports...) {
			if err := owned(from, to); err != nil {
				t.Errorf("a test of %s imports %s: %v", from, to, err)
			}
		}
	}
}

func TestDocSentences(t *testing.T) {
	for _, p := range list(t) {
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command "
		}
		if !strings.HasPrefix(p.Doc, want) {
			t.Errorf("%s: its doc comment must be one sentence that starts with %q, not %q", p.ImportPath, want, p.Doc)
		}
	}
}

func TestPureWithoutCgo(t *testing.T) {
	args := []string{"list", "-e", "-deps", "-json=ImportPath,CgoFiles"}
	for _, tree := range pure {
		args = append(args, module+"/"+tree)
	}
	for _, p := range decode(t, args) {
		if strings.HasPrefix(p.ImportPath, module+"/internal/torch") || strings.Contains(p.ImportPath, "sugarme/gotch") {
			t.Errorf("the packages that need no set-up import %s", p.ImportPath)
		}
	}
}

var errArrow = errors.New("docs/design.md has no such arrow")

func allowed(from, to string) error {
	if err := owned(from, to); err != nil {
		return err
	}
	to, ours := strings.CutPrefix(to, module+"/")
	if !ours {
		return nil
	}
	for _, tree := range may[rule(from)] {
		if in(to, tree) {
			return nil
		}
	}
	return errArrow
}

// owned checks the libraries that only one place may use.
func owned(from, to string) error {
	for library, owners := range only {
		if to != library && !strings.HasPrefix(to, library+"/") {
			continue
		}
		for _, tree := range owners {
			if in(from, tree) {
				return nil
			}
		}
		return errArrow
	}
	return nil
}

// rule is the longest entry of may that from falls under.
func rule(from string) string {
	if _, ok := may[from]; ok {
		return from
	}
	for dir := from; dir != "."; dir = path.Dir(dir) {
		if _, ok := may[dir+"/..."]; ok {
			return dir + "/..."
		}
	}
	return ""
}

// in says whether a package is the one named by tree or lies below it.
func in(p, tree string) bool {
	dir, all := strings.CutSuffix(tree, "...")
	dir = strings.TrimSuffix(dir, "/")
	return p == dir || all && (dir == "" || strings.HasPrefix(p, dir+"/"))
}

func list(t *testing.T) []pkg {
	return decode(t, []string{"list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports,Doc,Name", module + "/..."})
}

func decode(t *testing.T, args []string) (all []pkg) {
	t.Helper()
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(p.ImportPath, module+"/build/") {
			all = append(all, p)
		}
	}
}
