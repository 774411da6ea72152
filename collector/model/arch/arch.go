package arch

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"

	"actfleet/collector/model/layer"
	"actfleet/collector/model/tap"
	"actfleet/internal/torch"
)

// ErrUnsupported says that config.json asks for something no file of this package implements.
var ErrUnsupported = errors.New("unsupported model")

// Shape is the size of a network.
type Shape struct {
	Layers, Hidden, Vocab, MaxPositions int
}

// Emit receives the output x [B, T, width] of a site of the block being computed; x lives until the
// block is done.
type Emit func(site tap.Site, x *torch.Tensor)

// Network is one loaded checkpoint, computed block by block by its caller.
type Network interface {
	Shape() Shape
	// Width is the number of channels at a site, the same in every block.
	Width(site tap.Site) int
	// Embed maps token ids [B, T] (int64) to the first hidden states [B, T, Hidden].
	Embed(s *torch.Scope, ids *torch.Tensor) *torch.Tensor
	// Block maps the hidden states x [B, T, Hidden] to the next ones; Emit sees every site but resid.
	Block(s *torch.Scope, i int, x *torch.Tensor, emit Emit) *torch.Tensor
	// Logits maps final hidden states [N, Hidden] to next-token logits [N, Vocab].
	Logits(s *torch.Scope, x *torch.Tensor) *torch.Tensor
}

// A family builds a Network from the text of config.json and the weights.
type family func(s *torch.Scope, config []byte, src *layer.Source) (Network, error)

var families = map[string]family{
	"phi": loadPhi,
}

// ModelType reads model_type from the text of a config.json and checks that this package knows it.
func ModelType(config []byte) (string, error) {
	var head struct {
		ModelType string `json:"model_type"`
	}
	if err := json.Unmarshal(config, &head); err != nil {
		return "", fmt.Errorf("parse config.json: %w", err)
	}
	if families[head.ModelType] == nil {
		return "", fmt.Errorf("%w: model_type %q (known: %s)", ErrUnsupported, head.ModelType, strings.Join(known(), ", "))
	}
	return head.ModelType, nil
}

// Load builds the network that config describes from the weights in src.
func Load(s *torch.Scope, config []byte, src *layer.Source) (Network, error) {
	name, err := ModelType(config)
	if err != nil {
		return nil, err
	}
	return families[name](s, config, src)
}

func known() []string {
	var names []string
	for name := range families {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
