package model_test

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/adapter"
	"actfleet/collector/model/modeltest"
	"actfleet/internal/safetensors"
	"actfleet/shard/tap"
)

// adapterFixtures are the folders of scripts/ref/adapters_ref.py: FAMILY-KIND, with the checkpoint FAMILY of modeltest.
var adapterFixtures = filepath.Join("adapter", "testdata")

// familyOf is the checkpoint that an adapter's folder belongs to: the longest one whose name it begins with.
func familyOf(folder string) (family string) {
	for _, name := range fixtures {
		if strings.HasPrefix(folder, name+"-") && len(name) > len(family) {
			family = name
		}
	}
	return family
}

// What PEFT computes with each kind of adapter, at every site and module, is what we compute.
func TestAdaptersAsPEFT(t *testing.T) {
	folders, err := os.ReadDir(adapterFixtures)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		t.Run(f.Name(), func(t *testing.T) { asPEFT(t, filepath.Join(adapterFixtures, f.Name())) })
	}
}

// asPEFT compares one folder of adapters_ref.py.
func asPEFT(t *testing.T, dir string) {
	t.Helper()
	m, err := model.Load(filepath.Join("modeltest", "testdata", familyOf(filepath.Base(dir))))
	if err != nil {
		t.Fatal(err)
	}
	set, err := adapter.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Adapt("a", set); err != nil {
		t.Fatal(err)
	}
	ref, err := safetensors.Open(filepath.Join(dir, "ref.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer ref.Close()
	on, ids := m.With("a"), readIDs(t, ref)
	got, logits := activations(t, on, ids)
	seen := 0
	for _, info := range ref.Tensors() {
		want, err := ref.Float32s(info.Name)
		if info.Name == "ids" {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		have, ok := namedAs(on, info, got, logits)
		if !ok {
			continue
		}
		seen++
		if off := modeltest.MaxRelRMS(have, want); off > parity {
			t.Errorf("%s is off by %.2g of its RMS", info.Name, off)
		}
	}
	if seen < m.Info().Layers+1 {
		t.Errorf("only %d tensors of the reference were compared", seen)
	}
}

func readIDs(t *testing.T, ref *safetensors.File) (ids []int32) {
	t.Helper()
	raw, err := ref.Bytes("ids")
	if err != nil {
		t.Fatal(err)
	}
	for ; len(raw) > 0; raw = raw[4:] {
		ids = append(ids, int32(binary.LittleEndian.Uint32(raw)))
	}
	return ids
}

// activations are those of a prompt at every tap, and its logits.
func activations(t *testing.T, m *model.Model, ids []int32) (map[tap.Tap]model.View, []float32) {
	t.Helper()
	taps, got := everyTap(t, m), map[tap.Tap]model.View{}
	logits, err := m.Forward(t.Context(), model.Request{IDs: [][]int32{ids}, Taps: taps, Logits: true, Emit: func(i int, v model.View) error {
		v.Data = slices.Clone(v.Data)
		got[taps[i]] = v
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return got, logits[0]
}

// namedAs is what a tensor of a reference stands for, where a tap shows it.
func namedAs(m *model.Model, info safetensors.Info, got map[tap.Tap]model.View, logits []float32) ([]float32, bool) {
	last := m.Info().Layers - 1
	module, ok := strings.CutPrefix(info.Name, "m/")
	switch {
	case info.Name == "logits":
		return logits, true
	case info.Name == "final":
		return got[tap.Tap{Site: tap.Final, Layer: last}].Data, true
	case !ok:
		at, _, ok := tap.ParseColumn(info.Name)
		return got[at].Data, ok
	}
	for layer := range last + 1 {
		for _, site := range []tap.Site{tap.Wqkv, tap.OutProj, tap.FC1, tap.FC2} {
			for _, p := range m.Modules().Places(tap.Tap{Site: site, Layer: layer}) {
				if i := slices.Index(p.Modules, module); i >= 0 && !p.Input && !p.Grouped {
					return cut(got[tap.Tap{Site: site, Layer: layer}], int(info.Shape[len(info.Shape)-1]), i, len(p.Modules)), true
				}
			}
		}
	}
	return nil, false
}

// cut is the part of a site's vectors that module i of several gives, which is so wide. Of three modules the last two are
// equally wide: keys and values.
func cut(v model.View, width, i, of int) (out []float32) {
	begin := v.D - width*(of-i)
	if i == 0 {
		begin = 0
	}
	for at := 0; at < len(v.Data); at += v.D {
		out = append(out, v.Data[at+begin:][:width]...)
	}
	return out
}

// TestAdaptersAsLivePEFT has PEFT make and compute every kind on every checkpoint that transformers loads. It needs
// ACTFLEET_PYTHON, a Python with torch, transformers and peft; without, what PEFT once computed stands in.
func TestAdaptersAsLivePEFT(t *testing.T) {
	python := os.Getenv("ACTFLEET_PYTHON")
	if python == "" {
		t.Skip("ACTFLEET_PYTHON is not set")
	}
	if out, err := exec.Command(python, "-c", "import torch, transformers, peft").CombinedOutput(); err != nil {
		t.Skipf("%s has no torch, transformers or peft: %.200s", python, out)
	}
	dir := t.TempDir()
	args := []string{filepath.Join("..", "..", "scripts", "ref", "adapters_ref.py"), filepath.Join("modeltest", "testdata"), dir}
	for _, name := range fixtures {
		if name != "phi-msft" && name != "mixformer" { // which transformers has no class of
			args = append(args, name)
		}
	}
	if out, err := exec.Command(python, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %.2000s", err, out)
	}
	folders, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		t.Run(f.Name(), func(t *testing.T) {
			folder := filepath.Join(dir, f.Name())
			// LoRA on experts that transformers keeps in one array is of a kind of its own, which is refused.
			if _, err := adapter.Read(folder); errors.Is(err, adapter.ErrUnsupported) && strings.Contains(err.Error(), "target_parameters") {
				t.Log(err)
				return
			}
			asPEFT(t, folder)
		})
	}
}
