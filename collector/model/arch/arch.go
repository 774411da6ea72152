package arch

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// ErrUnsupported says that config.json asks for something no file of this package implements.
var ErrUnsupported = errors.New("unsupported model")

// Shape is the size of a network.
type Shape struct {
	Layers, Hidden, Vocab, MaxPositions int
	NoHead                              bool // there is no output matrix, so it gives no logits
}

// Emit receives the output x [B, T, width] of a site of the block being computed; x lives until the
// block is done.
type Emit func(site tap.Site, x *torch.Tensor)

// Network is one loaded checkpoint, computed block by block by its caller.
type Network interface {
	Shape() Shape
	// Width is the number of channels at a site, the same in every block.
	Width(site tap.Site) int
	// Embed maps token ids [B, T] (int64), which stand at positions before, before+1 and so on, to the
	// first hidden states [B, T, Hidden].
	Embed(s *torch.Scope, ids *torch.Tensor, before int) *torch.Tensor
	// Block maps the hidden states x [B, T, Hidden] to the next ones; Emit sees every site but resid.
	Block(s *torch.Scope, i int, x *torch.Tensor, c layer.Context, emit Emit) *torch.Tensor
	// Logits maps final hidden states [N, Hidden] to next-token logits [N, Vocab], where Shape has a head.
	Logits(s *torch.Scope, x *torch.Tensor) *torch.Tensor
}

// A family builds a Network from a config.json and the weights.
type family struct {
	load func(s *torch.Scope, config Config, src *layer.Source) (Network, error)
	// buffer says which tensors of a file are no weights and may be left alone; nil: none.
	buffer func(name string) bool
	// root is what the names of all weights but the head's begin with, embed the rest of the embedding's name;
	// empty where names are taken as they are.
	root, embed string
}

var families = map[string]family{
	"phi":                  familyPhi,
	"phi-msft":             familyMsft,
	"mixformer-sequential": familyMsft,
	"llama":                familyLlama,
	"mistral":              familyMistral,
	"qwen2":                familyQwen2,
	"qwen3":                familyQwen3,
	"gpt_neox":             familyNeoX,
	"gpt2":                 familyGPT2,
	"gemma":                familyGemma,
	"gemma2":               familyGemma2,
	"gemma3_text":          familyGemma3,
}

// oldRotary is a table that files of older transformers carry along.
func oldRotary(name string) bool { return strings.HasSuffix(name, ".self_attn.rotary_emb.inv_freq") }

// ModelType reads model_type from the text of a config.json and checks that this package knows it.
func ModelType(config []byte) (string, error) {
	var head struct {
		ModelType string `json:"model_type"`
	}
	if err := readJSON(config, &head); err != nil {
		return "", err
	}
	if families[head.ModelType].load == nil {
		return "", fmt.Errorf("%w: model_type %q (known: %s)", ErrUnsupported, head.ModelType, strings.Join(known(), ", "))
	}
	return head.ModelType, nil
}

// Load builds the network that config describes from the weights in src. A weight that no layer took is
// an error (layer.ErrMismatch), unless the family knows it as a buffer.
func Load(s *torch.Scope, config Config, src *layer.Source) (Network, error) {
	name, err := ModelType(config.Text)
	if err != nil {
		return nil, err
	}
	net, err := families[name].load(s, config, src)
	if err != nil {
		return nil, err
	}
	return net, src.Done(families[name].buffer)
}

func known() []string {
	var names []string
	for name := range families {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// siteWidth is the width at a site of a block whose fc1 gives fc1 channels: the MLP's inner ones, twice where gate
// and up stand side by side.
func siteWidth(site tap.Site, heads layer.Heads, fc1, hidden int) int {
	switch site {
	case tap.Wqkv:
		return heads.FusedWidth()
	case tap.FC1:
		return fc1
	}
	return hidden
}
