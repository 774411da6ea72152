package parity

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/modeltest"
	"actfleet/internal/safetensors"
	"actfleet/shard/tap"
)

var update = flag.Bool("update", false, "let transformers compute the references of package modeltest anew; -run TestReferences/NAME those of one")

// TestReferences makes every ref.safetensors anew: p<i>/ids [T] int32, p<i>/<site>_<layer> [T, D] float32 of every
// tap that is no other one's, and p<i>/logits [V] after the last token; and every continued.json. It needs -update and ACTFLEET_PYTHON, which
// TestHuggingFace explains. Prompts stay those of the reference that is there.
func TestReferences(t *testing.T) {
	python := os.Getenv("ACTFLEET_PYTHON")
	if !*update {
		t.Skip("without -update")
	}
	models, err := filepath.Glob("../modeltest/testdata/*/config.json")
	if err != nil || len(models) == 0 || python == "" {
		t.Fatal(models, err, python)
	}
	for _, config := range models {
		name := filepath.Base(filepath.Dir(config))
		t.Run(name, func(t *testing.T) { makeReference(t, python, name) })
	}
}

func makeReference(t *testing.T, python, name string) {
	m, dir := load(t, name)
	path, from := filepath.Join(dir, "ref.safetensors"), t.TempDir()
	prompts := referencePrompts(t, path, m.Info())
	var taps []tap.Tap
	for _, tp := range tapsOf(m) {
		if m.Same(tp.Site) == tp.Site {
			taps = append(taps, tp)
		}
	}
	peer, err := reference(t.Context(), python, dir, ask{Prompts: prompts, Places: placesOf(m, taps), Threads: 1,
		Continue: room(m.Info(), prompts)}, from)
	if err != nil {
		t.Fatal(err)
	}
	var out []safetensors.Tensor
	for p, ids := range prompts {
		raw := make([]byte, 4*len(ids))
		for i, id := range ids {
			binary.LittleEndian.PutUint32(raw[4*i:], uint32(id))
		}
		out = append(out, safetensors.Tensor{Name: fmt.Sprintf("p%d/ids", p), Dtype: safetensors.I32, Shape: []int64{int64(len(ids))}, Data: raw})
		out = append(out, prefixed(t, filepath.Join(from, fmt.Sprintf("p%d.safetensors", p)), fmt.Sprintf("p%d/", p))...)
	}
	by := fmt.Sprintf("transformers %s, torch %s", peer.Transformers, strings.Split(peer.Torch, "+")[0])
	if err := safetensors.Write(path, out, map[string]string{"made_by": by}); err != nil {
		t.Fatal(err)
	}
	if err := (modeltest.Continued{MadeBy: by, Tokens: continued(t, from)}).Write(dir); err != nil {
		t.Fatal(err)
	}
}

// continuedTokens is how many tokens are added to a prompt of a reference.
const continuedTokens = 12

// room is how many tokens are added to each prompt: continuedTokens, or what the model has positions for.
func room(info model.Info, prompts [][]int32) (n []int) {
	for _, ids := range prompts {
		n = append(n, min(continuedTokens, info.MaxPositions-len(ids)+1))
	}
	return n
}

// continued are the tokens that the peer has added.
func continued(t *testing.T, dir string) (tokens [][]int32) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "continued.json"))
	if err == nil {
		err = json.Unmarshal(text, &tokens)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// referencePrompts are those of the reference at path, or new ones.
func referencePrompts(t *testing.T, path string, info model.Info) [][]int32 {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		ref, err := modeltest.OpenReference(path)
		if err != nil {
			t.Fatal(err)
		}
		defer ref.Close()
		return ref.Prompts
	}
	return Prompts(4, info.Vocab, info.MaxPositions)
}

// prefixed are the tensors of a file under longer names.
func prefixed(t *testing.T, path, before string) (out []safetensors.Tensor) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, info := range f.Tensors() {
		raw, err := f.Bytes(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, safetensors.Tensor{Name: before + info.Name, Dtype: info.Dtype, Shape: info.Shape, Data: append([]byte(nil), raw...)})
	}
	return out
}
