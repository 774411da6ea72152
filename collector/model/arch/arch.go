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
	// PrefixLimit is the number of positions beyond which a prompt's first positions are computed otherwise than those
	// of a shorter one (longrope, dynamic NTK), so that it cannot go on from a prefix; 0: there is none.
	PrefixLimit int
}

// Emit receives the output x [B, T, width] of a site of the block being computed, and returns what the network goes
// on with; x lives until the block is done.
type Emit func(site tap.Site, x *torch.Tensor) *torch.Tensor

// Network is one loaded checkpoint, computed block by block by its caller.
type Network interface {
	Shape() Shape
	// Width is the number of channels at a tap; 0 where the network has no such tap.
	Width(t tap.Tap) int
	// Same is the site that a site always has the vectors of, the first of them in canonical order: itself, unless what a
	// part gives is added as it is, or read as it is.
	Same(site tap.Site) tap.Site
	// Modules are what transformers calls the network's modules.
	Modules() tap.Modules
	// Alike says whether a prompt's first positions are computed in the same way when it has n positions as when it has m.
	Alike(n, m int) bool
	// Embed maps token ids [B, T] (int64), which stand where c says, to the first hidden states [B, T, Hidden]: the site
	// embed.
	Embed(s *torch.Scope, ids *torch.Tensor, c layer.Context) *torch.Tensor
	// Device is where block i computes, and wants its states.
	Device(i int) torch.Device
	// Block maps the hidden states x [B, T, Hidden] to the next ones; Emit sees every site but embed, resid and final.
	Block(s *torch.Scope, i int, x *torch.Tensor, c layer.Context, emit Emit) *torch.Tensor
	// Final norms the last block's states [.., Hidden]: the site final.
	Final(s *torch.Scope, x *torch.Tensor) *torch.Tensor
	// Logits maps what Final gives, [N, Hidden], to next-token logits [N, Vocab], where Shape has a head.
	Logits(s *torch.Scope, x *torch.Tensor) *torch.Tensor
}

// A family is the design that its config.json describes; the names of its modules are tap.ModulesOf's.
type family struct {
	// design reads a config.json; has says whether the checkpoint holds a weight.
	design func(config Config, has func(weight string) bool) (design, error)
	// buffer says which tensors of a file are no weights and may be left alone.
	buffer func(name string) bool
}

var families = map[string]family{
	"phi":                  {designPhi, oldRotary},
	"phi-msft":             {designMsft, msftBuffer},
	"mixformer-sequential": {designMsft, msftBuffer},
	"llama":                {designLlama, oldRotary},
	"mistral":              {designMistral, oldRotary},
	"qwen2":                {designQwen2, oldRotary},
	"qwen3":                {designQwen3, oldRotary},
	"gpt_neox":             {designNeoX, neoxBuffer},
	"gpt2":                 {designGPT2, gpt2Buffer},
	"gemma":                {designGemma, oldRotary},
	"gemma2":               {designGemma2, oldRotary},
	"gemma3_text":          {designGemma3, oldRotary},
	"phi3":                 {designPhi3, oldRotary},
	"olmo2":                {designOlmo2, oldRotary},
	"olmo3":                {designOlmo3, oldRotary},
	"granite":              {designGranite, oldRotary},
	"starcoder2":           {designStarcoder2, oldRotary},
	"stablelm":             {designStablelm, oldRotary},
	"smollm3":              {designSmolLM3, oldRotary},
	"opt":                  {designOPT, noBuffer},
	"falcon":               {designFalcon, falconBuffer},
	"gptj":                 {designGPTJ, gptjBuffer},
	"bloom":                {designBloom, noBuffer},
	"cohere2":              {designCohere2, oldRotary},
	"glm":                  {designGLM, oldRotary},
	"glm4":                 {designGLM, oldRotary},
	"arcee":                {designArcee, oldRotary},
	"mixtral":              {designMixtral, oldRotary},
	"qwen2_moe":            {designQwen2MoE, oldRotary},
	"qwen3_moe":            {designQwen3MoE, oldRotary},
	"olmoe":                {designOlmoe, oldRotary},
	"gpt_oss":              {designGPTOSS, oldRotary},
	"deepseek_v2":          {designDeepseekV2, oldRotary},
	"deepseek_v3":          {designDeepseekV3, deepseekBuffer},
}

func noBuffer(string) bool { return false }

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
	if families[head.ModelType].design == nil {
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
	d, err := families[name].design(config, src.Has)
	if err != nil {
		return nil, err
	}
	if d.names == (tap.Modules{}) {
		d.names, _ = tap.ModulesOf(name)
	}
	net, err := d.load(s, src)
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
