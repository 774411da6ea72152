package safetensors

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

func byteTensor(name string, b byte) Tensor { return Tensor{name, U8, []int64{1}, []byte{b}} }

// writeShards lays out a sharded checkpoint with tensors a, b in the first file
// and c in the second.
func writeShards(t *testing.T, index string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, Write(filepath.Join(dir, "model-1.safetensors"), []Tensor{byteTensor("a", 1), byteTensor("b", 2)}, nil))
	must(t, Write(filepath.Join(dir, "model-2.safetensors"), []Tensor{byteTensor("c", 3)}, map[string]string{"format": "pt"}))
	must(t, os.WriteFile(filepath.Join(dir, indexName), []byte(index), 0o644))
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const goodIndex = `{"metadata":{"total_size":3},"weight_map":{"a":"model-1.safetensors","b":"model-1.safetensors","c":"model-2.safetensors"}}`

func TestOpenDirSharded(t *testing.T) {
	c, err := OpenDir(writeShards(t, goodIndex))
	must(t, err)
	defer c.Close()
	for i, name := range []string{"a", "b", "c"} {
		raw, err := c.Bytes(name)
		if err != nil || raw[0] != byte(i+1) || c.Tensors()[i].Name != name {
			t.Errorf("%s = %v, %v", name, raw, err)
		}
	}
	if _, err := c.Bytes("d"); !errors.Is(err, ErrNoTensor) {
		t.Errorf("unknown tensor: %v", err)
	}
	if _, ok := c.Info("d"); ok {
		t.Error("an unknown tensor is described")
	}
}

func TestDigestIsOfTheContent(t *testing.T) {
	c, err := OpenDir(writeShards(t, goodIndex))
	must(t, err)
	defer c.Close()
	sharded, err := c.Digest()
	must(t, err)
	one := func(last byte) string {
		dir := t.TempDir()
		must(t, Write(filepath.Join(dir, singleName), []Tensor{byteTensor("c", last), byteTensor("a", 1), byteTensor("b", 2)}, nil))
		c, err := OpenDir(dir)
		must(t, err)
		defer c.Close()
		d, err := c.Digest()
		must(t, err)
		return d
	}
	if got := one(3); got != sharded || len(got) != 64 {
		t.Errorf("one file %s, sharded %s", got, sharded)
	}
	if one(4) == sharded {
		t.Error("another value has the same digest")
	}
}

func TestOpenDirRefuses(t *testing.T) {
	for name, c := range map[string]struct{ index, want string }{
		"missing shard":   {`{"weight_map":{"a":"model-1.safetensors","z":"model-3.safetensors"}}`, "shard model-3.safetensors is missing"},
		"missing tensor":  {`{"weight_map":{"a":"model-1.safetensors","z":"model-2.safetensors"}}`, `tensor "z" into model-2.safetensors`},
		"other shard":     {`{"weight_map":{"a":"model-2.safetensors","b":"model-1.safetensors"}}`, `tensor "a" into model-2.safetensors`},
		"escape":          {`{"weight_map":{"a":"../model-1.safetensors"}}`, "leads out of the folder"},
		"absolute":        {`{"weight_map":{"a":"/etc/passwd"}}`, "leads out of the folder"},
		"no map":          {`{"metadata":{}}`, "no weight_map"},
		"not json":        {`{`, indexName},
		"numbers":         {`{"weight_map":{"a":1}}`, indexName},
		"folder as shard": {`{"weight_map":{"a":".."}}`, "leads out of the folder"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := OpenDir(writeShards(t, c.index))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %q in one line", err, c.want)
			}
		})
	}
}

func TestOpenDirTensorInTwoShards(t *testing.T) {
	dir := writeShards(t, goodIndex)
	must(t, Write(filepath.Join(dir, "model-2.safetensors"), []Tensor{byteTensor("c", 3), byteTensor("b", 9)}, nil))
	if _, err := OpenDir(dir); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), `"b" is in model-1.safetensors too`) {
		t.Errorf("error %v", err)
	}
}

func TestOpenDirWithoutWeights(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenDir(dir); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "neither") {
		t.Errorf("empty folder: %v", err)
	}
	must(t, os.WriteFile(filepath.Join(dir, "pytorch_model.bin"), nil, 0o644))
	if _, err := OpenDir(dir); err == nil || !strings.Contains(err.Error(), "safe_serialization") {
		t.Errorf("pickled weights: %v", err)
	}
}

const pyWrite = `
import sys, numpy as np
from safetensors.numpy import save_file
save_file({"f": np.arange(6, dtype=np.float32).reshape(2, 3), "h": np.array([0.5, -2.0], dtype=np.float16),
    "i": np.array(7), "e": np.zeros((0, 4), dtype=np.float32)}, sys.argv[1], {"format": "pt", "who": "py"})
`

const pyRead = `
import sys, numpy as np
from safetensors import safe_open
with safe_open(sys.argv[1], "np") as f:
    assert f.metadata() == {"k": "v\n\u00e9"}, f.metadata()
    assert sorted(f.keys()) == ["a", "b<", "s"], f.keys()
    assert f.get_tensor("a").dtype == np.uint8 and f.get_tensor("a").tolist() == [7]
    assert f.get_tensor("b<").tolist() == [[0.0, -2.0]], f.get_tensor("b<")
    assert f.get_tensor("s").shape == () and f.get_tensor("s").item() == 1.0
`

// TestPython exchanges files with the reference implementation in both
// directions; it needs ACTFLEET_PYTHON, a Python with safetensors and numpy.
func TestPython(t *testing.T) {
	python := os.Getenv("ACTFLEET_PYTHON")
	if python == "" {
		t.Skip("ACTFLEET_PYTHON is not set")
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	run := func(script string) {
		t.Helper()
		if out, err := exec.Command(python, "-c", script, path).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	run(pyWrite)
	f, err := Open(path)
	must(t, err)
	defer f.Close()
	for name, want := range map[string][]float32{"f": {0, 1, 2, 3, 4, 5}, "h": {0.5, -2}, "e": {}} {
		got, err := f.Float32s(name)
		if err != nil || len(got) != len(want) || len(got) > 0 && got[len(got)-1] != want[len(want)-1] {
			t.Errorf("%s = %v, %v", name, got, err)
		}
	}
	must(t, Write(path, []Tensor{byteTensor("a", 7), {"b<", F16, []int64{1, 2}, []byte{0, 0, 0, 0xc0}},
		{"s", F32, nil, []byte{0, 0, 0x80, 0x3f}}}, map[string]string{"k": "v\né"}))
	run(pyRead)
}

func TestTwoCheckpointsInOneFolderAreRefused(t *testing.T) {
	dir := t.TempDir()
	shard := []Tensor{{Name: "a", Dtype: F32, Shape: []int64{1}, Data: make([]byte, 4)}}
	for _, name := range []string{"model.safetensors", "part.safetensors", "consolidated.safetensors"} {
		if err := Write(filepath.Join(dir, name), shard, nil); err != nil {
			t.Fatal(err)
		}
	}
	index := func(name string) {
		text := `{"weight_map": {"a": "` + name + `"}}`
		if err := os.WriteFile(filepath.Join(dir, indexName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	index("part.safetensors")
	if _, err := OpenDir(dir); !errors.Is(err, ErrTwo) || !strings.Contains(err.Error(), "part.safetensors") {
		t.Errorf("an index beside a file it does not name: %v", err)
	}
	index("model.safetensors")
	c, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.Strays(); !slices.Equal(got, []string{"consolidated.safetensors", "part.safetensors"}) {
		t.Errorf("strays %v", got)
	}
}

// A header of any length is legal, so data may begin anywhere.
func TestTensorsAtOddPlacesAreAligned(t *testing.T) {
	for pad := range 9 {
		head := `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}}` + strings.Repeat(" ", pad)
		file := binary.LittleEndian.AppendUint64(nil, uint64(len(head)))
		file = append(append(file, head...), 7, 0, 0, 128, 63, 0, 0, 0, 64)
		path := filepath.Join(t.TempDir(), "model.safetensors")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := f.Bytes("b")
		if err != nil || uintptr(unsafe.Pointer(&raw[0]))%4 != 0 {
			t.Fatalf("padding %d: %v, at %p", pad, err, raw)
		}
		if got, err := f.Float32s("b"); err != nil || !slices.Equal(got, []float32{1, 2}) {
			t.Errorf("padding %d: %v, %v", pad, got, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
