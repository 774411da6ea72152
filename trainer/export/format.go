package export

import (
	"errors"
	"fmt"
	"strings"

	"actfleet/trainer/folder"
	"actfleet/trainer/sae"
)

// Format is the name of a layout.
type Format string

// The layouts.
const (
	SAELens            Format = "saelens"
	Sparsify           Format = "sparsify"
	DictionaryLearning Format = "dictionary_learning"
	OpenAI             Format = "openai"
	NPZ                Format = "npz"
	CircuitTracer      Format = "circuit_tracer"
	GemmaScope2        Format = "gemma_scope_2"
	LlamaScope         Format = "llama_scope"
	Torch              Format = "pt"
)

// Formats are the layouts that are written, in the order they are shown.
var Formats = []Format{SAELens, Sparsify, DictionaryLearning, OpenAI, NPZ, CircuitTracer}

// Readable are the layouts that are read.
var Readable = append(Formats[:len(Formats):len(Formats)], GemmaScope2, LlamaScope, Torch)

// ErrFormat says that a layout cannot hold a model, or that a folder does not hold the layout.
var ErrFormat = errors.New("does not fit the format")

// Origin is what a layout may say about where a model comes from. What is empty is left open.
type Origin struct {
	Model   string // name of the language model
	Column  string // under which a run has its vectors
	Hook    Hook   // where they were taken
	Target  Hook   // of a transcoder: where what it predicts was taken
	Adapter string // that was on
	Layer   int
	Data    string // name of the data set
	Context int    // tokens of a prompt at most
	BOS     *bool  // prompts begin with the model's first token
	Program string // what wrote the file
}

// ParseFormat reads the name of one of some layouts.
func ParseFormat(name string, among []Format) (Format, error) {
	var names []string
	for _, f := range among {
		if string(f) == name {
			return f, nil
		}
		names = append(names, string(f))
	}
	return "", fmt.Errorf("unknown format %q: want %s", name, strings.Join(names, ", "))
}

// layout writes a model into a folder, if it is one that is written, and reads it back.
type layout struct {
	write func(dir string, m *sae.Model, o Origin) error
	read  func(p place) (*sae.Model, error)
}

var layouts = map[Format]layout{
	SAELens:            layoutSAELens,
	Sparsify:           layoutSparsify,
	DictionaryLearning: layoutDictionary,
	OpenAI:             layoutOpenAI,
	NPZ:                layoutNPZ,
	CircuitTracer:      layoutTracer,
	GemmaScope2:        layoutGemmaScope2,
	LlamaScope:         layoutOpenMOSS,
	Torch:              layoutTorch,
}

// Write makes the folder dir with a model in a layout and a model card, README.md. The model's scale must be folded in, as in
// one from sae.Load or Learner.Export.
func Write(dir string, f Format, m *sae.Model, o Origin) error {
	l := layouts[f]
	if l.write == nil {
		return fmt.Errorf("export: format %q is not written", f)
	}
	err := folder.Make(dir, func(temp string) error {
		if err := fits(f, m); err != nil {
			return err
		}
		return errors.Join(l.write(temp, m, o), writeCard(temp, f, m, o))
	})
	if err != nil {
		return fmt.Errorf("export %s: %w", f, err)
	}
	return nil
}

// Read reads a model from a folder in a layout, or from its file where the layout is one. Transcoder says that it
// predicts another vector than it reads, which some layouts leave open. A model whose weights are not finite, an array
// or a key that is not understood, and whatever no weights can hold are refused by name (ErrFormat).
func Read(path string, f Format, transcoder bool) (*sae.Model, error) {
	l, ok := layouts[f]
	if !ok {
		return nil, fmt.Errorf("import: unknown format %q", f)
	}
	_, p, err := find(path, f)
	if err != nil {
		return nil, err
	}
	p.transcoder = transcoder
	m, err := l.read(p)
	if err == nil {
		err = finite(m)
	}
	if err != nil {
		return nil, fmt.Errorf("import %s from %s: %w", f, path, err)
	}
	return m, nil
}

// carries tells whether a layout has a place for a model.
func carries(f Format, m *sae.Model) bool {
	alone, act := m.Out == 0 && len(m.Parts) == 0, m.Arch.Activation()
	switch f {
	case SAELens:
		return alone || len(m.Parts) == 0 && (act == sae.ReLUActivation || act.HasThresholds())
	case Sparsify: // its transcoders predict vectors as long as those they see
		return act == sae.TopKActivation && len(m.Parts) == 0 && m.Outputs() == m.D
	case DictionaryLearning:
		return alone
	case CircuitTracer: // its transcoders stand in for an MLP
		return m.Out == m.D && m.Out > 0 && (act == sae.ReLUActivation || act.HasThresholds())
	case OpenAI:
		return alone && (act == sae.ReLUActivation || act == sae.TopKActivation)
	}
	return true // npz
}

// fits refuses a model that a layout has no place for, and says which have one.
func fits(f Format, m *sae.Model) error {
	if _, err := sae.ParseArch(string(m.Arch)); err != nil {
		return fmt.Errorf("%w: %v", ErrFormat, err)
	}
	if carries(f, m) {
		return nil
	}
	what, as := string(m.Arch), ""
	switch {
	case len(m.Parts) > 0:
		what, as = "crosscoders", " as one wide autoencoder"
	case m.Out > 0:
		what = fmt.Sprintf("transcoders of %s from %d to %d values", m.Arch, m.D, m.Out)
	}
	var others []string
	for _, o := range Formats {
		if carries(o, m) {
			others = append(others, string(o))
		}
	}
	return fmt.Errorf("%w: %s has no place for %s; %s would hold it%s", ErrFormat, f, what, strings.Join(others, ", "), as)
}
