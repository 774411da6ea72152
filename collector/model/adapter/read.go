package adapter

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"actfleet/internal/safetensors"
	"actfleet/internal/smallfile"
)

// maxConfigBytes bounds adapter_config.json before it is read.
const maxConfigBytes = 1 << 20

// names of an adapter's files.
const (
	configName  = "adapter_config.json"
	weightsName = "adapter_model.safetensors"
	pickleName  = "adapter_model.bin"
)

// Read reads an adapter's folder: PEFT's, or one of this program (ownKind). Errors: ErrCorrupt, ErrUnsupported, or what the
// file system says.
func Read(dir string) (*Set, error) {
	set, err := read(dir)
	if err != nil {
		return nil, fmt.Errorf("read adapter %s: %w", dir, err)
	}
	set.Digest = set.digest()
	return set, nil
}

func read(dir string) (*Set, error) {
	text, err := smallfile.Read(filepath.Join(dir, configName), maxConfigBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no %s; --adapter wants NAME=DIR, with the folder that save_pretrained wrote", ErrCorrupt, configName)
	}
	if err != nil {
		return nil, err
	}
	arrays, err := readArrays(dir)
	if err != nil {
		return nil, err
	}
	if isOwn(text) {
		return readOwn(text, arrays)
	}
	c, err := parseConfig(text)
	if err != nil {
		return nil, err
	}
	return c.set(arrays)
}

// readArrays reads the weights beside a config, in the order of their names.
func readArrays(dir string) (arrays []Array, err error) {
	f, err := safetensors.Open(filepath.Join(dir, weightsName))
	if errors.Is(err, fs.ErrNotExist) {
		return readPickle(dir)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	for _, t := range f.Tensors() {
		data, err := f.Float32s(t.Name)
		if err != nil {
			return nil, err
		}
		a := Array{Name: t.Name, Data: slices.Clone(data)}
		for _, n := range t.Shape {
			a.Shape = append(a.Shape, int(n))
		}
		arrays = append(arrays, a)
	}
	slices.SortFunc(arrays, func(a, b Array) int { return strings.Compare(a.Name, b.Name) })
	return arrays, nil
}

// suffixes are what PEFT puts behind a module's name, and the arrays they are.
var suffixes = []struct{ end, array string }{
	{".lora_A.weight", "lora_A"}, {".lora_B.weight", "lora_B"}, {".lora_B.bias", "lora_B.bias"},
	{".lora_magnitude_vector", "lora_magnitude_vector"}, {".lora_magnitude_vector.weight", "lora_magnitude_vector"},
	{".lora_A", "lora_A"}, {".lora_B", "lora_B"}, {".lora_E", "lora_E"}, {".ia3_l", "ia3_l"},
	{".hada_w1_a", "hada_w1_a"}, {".hada_w1_b", "hada_w1_b"}, {".hada_w2_a", "hada_w2_a"}, {".hada_w2_b", "hada_w2_b"},
	{".lokr_w1", "lokr_w1"}, {".lokr_w1_a", "lokr_w1_a"}, {".lokr_w1_b", "lokr_w1_b"},
	{".lokr_w2", "lokr_w2"}, {".lokr_w2_a", "lokr_w2_a"}, {".lokr_w2_b", "lokr_w2_b"},
	{".oft_R.weight", "oft_R"}, {".vera_lambda_b", "vera_lambda_b"}, {".vera_lambda_d", "vera_lambda_d"}, {".beft_bias", "beft_bias"},
}

// keyPrefix stands before every key of a PEFT file.
const keyPrefix = "base_model.model."

// set sorts arrays by module.
func (c config) set(all []Array) (*Set, error) {
	t, err := c.targets()
	if err != nil {
		return nil, err
	}
	set := &Set{Base: c.Base, TiedHead: c.Tied, means: &t}
	var shared []Array // the projections of a VeRA
	at := map[string]int{}
	for _, a := range all {
		key, ok := strings.CutPrefix(a.Name, keyPrefix)
		if name, vera := strings.CutPrefix(a.Name, "base_model.vera_"); vera && c.Kind == VeRA {
			shared = append(shared, Array{"vera_" + name, a.Shape, a.Data})
			continue
		}
		if !ok {
			return nil, fmt.Errorf("%w: %s: keys of a PEFT file begin with %s", ErrCorrupt, a.Name, keyPrefix)
		}
		module, array := cutSuffix(key)
		if array == "" {
			if a.Name, err = c.whole(t, key); err != nil {
				return nil, err
			}
			if err := finite("the adapter", a); err != nil {
				return nil, err
			}
			set.Weights = append(set.Weights, a)
			continue
		}
		if !t.means(module) {
			return nil, fmt.Errorf("%w: nothing uses %s: target_modules and the layers chosen leave it out", ErrCorrupt, a.Name)
		}
		if _, ok := at[module]; !ok {
			at[module] = len(set.Modules)
			set.Modules = append(set.Modules, Module{Name: module, Kind: c.Kind})
		}
		m := &set.Modules[at[module]]
		m.Arrays = append(m.Arrays, Array{array, a.Shape, a.Data})
	}
	return set, c.finish(set, shared)
}

// cutSuffix cuts a key into a module and the name of its array; "" where it is a whole parameter.
func cutSuffix(key string) (module, array string) {
	for _, s := range suffixes {
		if module, ok := strings.CutSuffix(key, s.end); ok {
			return module, s.array
		}
	}
	return key, ""
}

// whole is the name of a parameter that stands in the place of the base's; a key that the config does not announce is
// one that nothing uses.
func (c config) whole(t targets, key string) (string, error) {
	name := strings.Replace(key, ".base_layer.", ".", 1)
	bias := strings.HasSuffix(name, ".bias")
	switch module := name[:max(strings.LastIndexByte(name, '.'), 0)]; {
	case t.inSaved(module):
		return name, nil
	case bias && c.Bias == "all", bias && strings.HasSuffix(c.Bias, "_only") && t.means(module):
		return name, nil
	}
	return "", fmt.Errorf("%w: nothing uses %s of an adapter of kind %s", ErrUnsupported, key, c.Kind)
}

// finish gives modules what the config says about them.
func (c config) finish(set *Set, shared []Array) error {
	ff, err := parseMatcher("feedforward_modules", c.Feedforward)
	if err != nil {
		return err
	}
	kept := set.Modules[:0]
	for _, m := range set.Modules {
		if c.pruned(m.Name) {
			continue
		}
		m.Arrays = append(m.Arrays, shared...)
		if err := c.describe(&m, ff); err != nil {
			return err
		}
		kept = append(kept, m)
	}
	if set.Modules = kept; len(kept) == 0 && len(set.Weights) == 0 {
		return fmt.Errorf("%w: its file holds no array", ErrCorrupt)
	}
	return nil
}

// describe sets what a module's arrays do not say.
func (c config) describe(m *Module, ff *matcher) (err error) {
	switch c.Kind {
	case LoRA, LoHa, LoKr:
		var r int
		if r, err = c.rank(m.Name); err != nil {
			return err
		}
		if err := c.ranked(*m, r); err != nil {
			return err
		}
		m.Gain, err = c.gain(m.Name, r)
	case AdaLoRA:
		m.Gain, err = c.gain(m.Name, 0)
	case IA3:
		m.Input = ff != nil && (ff.re != nil && ff.matches(m.Name) || slices.ContainsFunc(ff.ends, func(end string) bool { return strings.HasSuffix(m.Name, end) }))
	case OFT:
		if *c.Neumann {
			m.Terms = 5
			if c.Terms != nil {
				m.Terms = *c.Terms
			}
			if m.Terms < 1 || m.Terms > 64 {
				return fmt.Errorf("%w: num_cayley_neumann_terms is %d", ErrUnsupported, m.Terms)
			}
		}
		if c.Constrained {
			m.Radius = c.Eps
		}
	}
	return err
}

// ranked refuses a LoRA whose arrays have another rank than the config, or that lacks what it announces.
func (c config) ranked(m Module, r int) error {
	if c.Kind != LoRA {
		return nil
	}
	switch have, err := rank(m, "lora_A", 0); {
	case err != nil:
		return err
	case have != r:
		return fmt.Errorf("%w: lora_A of %s has rank %d, adapter_config.json says %d", ErrCorrupt, m.Name, have, r)
	case c.DoRA != has(m, "lora_magnitude_vector"):
		return fmt.Errorf("%w: use_dora is %t, and %s has a magnitude: %t", ErrCorrupt, c.DoRA, m.Name, !c.DoRA)
	case c.LoRABias != has(m, "lora_B.bias"):
		return fmt.Errorf("%w: lora_bias is %t, and %s has lora_B.bias: %t", ErrCorrupt, c.LoRABias, m.Name, !c.LoRABias)
	}
	return nil
}

// digest is the SHA-256 of what decides a set's mathematics.
func (set *Set) digest() string {
	h := sha256.New()
	for _, m := range set.Modules {
		fmt.Fprintf(h, "module %q %s %x %t %d %x\n", m.Name, m.Kind, math.Float64bits(m.Gain), m.Input, m.Terms, math.Float64bits(m.Radius))
		for _, a := range m.Arrays {
			a.hash(h)
		}
	}
	for _, st := range set.Steps {
		fmt.Fprintf(h, "step %s %q %q %x\n", st.At, st.From, st.Activation, math.Float64bits(st.Gain))
		for _, a := range []Array{st.Mul, st.Add, st.Down, st.DownBias, st.Up, st.UpBias} {
			a.hash(h)
		}
	}
	for _, a := range set.Weights {
		a.hash(h)
	}
	if set.TiedHead {
		fmt.Fprintln(h, "tied")
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (a Array) hash(h hash.Hash) {
	fmt.Fprintf(h, "array %q %v\n", a.Name, a.Shape)
	_ = binary.Write(h, binary.LittleEndian, a.Data) // a hash takes everything
}
