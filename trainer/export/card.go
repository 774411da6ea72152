package export

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"actfleet/trainer/sae"
)

const cardFile = "README.md"

// loads is how a program reads a folder.
var loads = map[Format]struct{ library, code string }{
	SAELens:  {"saelens", "from sae_lens import SAE\n\nsae = SAE.load_from_disk(FOLDER)"},
	Sparsify: {"sparsify", "from sparsify import SparseCoder\n\nsae = SparseCoder.load_from_disk(FOLDER)"},
	DictionaryLearning: {"dictionary_learning",
		"from dictionary_learning.utils import load_dictionary\n\nsae, config = load_dictionary(FOLDER + \"/trainer_0\", \"cpu\")"},
	OpenAI:        {"sparse_autoencoder", "import torch\n\narrays = torch.load(FOLDER + \"/autoencoder.pt\", weights_only=True)"},
	NPZ:           {"", "import numpy\n\narrays = numpy.load(FOLDER + \"/params.npz\")"},
	CircuitTracer: {"circuit-tracer", "from circuit_tracer import ReplacementModel  # with this folder as its set of transcoders"},
}

// hubID is a name as the hub has them.
var hubID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)?$`)

// writeCard puts a model card beside the files of a layout: the hub shows it and files the folder by its head.
func writeCard(dir string, f Format, m *sae.Model, o Origin) error {
	var b strings.Builder
	b.WriteString("---\n")
	for _, line := range [][2]string{{"library_name", loads[f].library}, {"base_model", id(o.Model)}} {
		if line[1] != "" {
			fmt.Fprintf(&b, "%s: %s\n", line[0], line[1])
		}
	}
	if data := id(o.Data); data != "" {
		fmt.Fprintf(&b, "datasets:\n- %s\n", data)
	}
	kind := "sparse-autoencoder"
	if m.Out > 0 {
		kind = "transcoder"
	}
	fmt.Fprintf(&b, "tags:\n- %s\n- %s\n- mechanistic-interpretability\n---\n\n# %s of %s\n\n",
		kind, strings.ReplaceAll(string(m.Arch), "_", "-"), kind, cmp.Or(o.Column, "vectors"))
	b.WriteString("| | |\n|---|---|\n")
	for _, row := range facts(m, o) {
		if row[1] != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", row[0], inCell(row[1]))
		}
	}
	fmt.Fprintf(&b, "\n```python\n%s\n```\n\nThe files hold the plain function of vectors as they are: every scale is folded into the weights.\n",
		strings.ReplaceAll(loads[f].code, "FOLDER", `"."`))
	return os.WriteFile(filepath.Join(dir, cardFile), []byte(b.String()), 0o644)
}

// facts are the lines of a card's table; those without a value are left out.
func facts(m *sae.Model, o Origin) [][2]string {
	k := ""
	if a := m.Arch.Activation(); a == sae.TopKActivation || a == sae.ThresholdActivation {
		k = fmt.Sprint(m.K)
	}
	context, bos := "", ""
	if o.Context > 0 {
		context = fmt.Sprintf("%d tokens at most", o.Context)
	}
	if o.BOS != nil {
		bos = map[bool]string{true: "a token stands before every prompt", false: "no token stands before every prompt"}[*o.BOS]
	}
	predicts := ""
	if m.Out > 0 {
		predicts = fmt.Sprintf("%d values %s", m.Out, cmp.Or(o.Target.HuggingFace, o.Target.TransformerLens))
	}
	return [][2]string{{"architecture", string(m.Arch)}, {"latents", fmt.Sprint(m.M)}, {"k", k},
		{"reads", fmt.Sprintf("%d values", m.D)}, {"predicts", predicts},
		{"model", o.Model}, {"adapter", o.Adapter}, {"module, whose output it is", o.Hook.HuggingFace},
		{"hook of TransformerLens", o.Hook.TransformerLens},
		{"data", o.Data}, {"context", context}, {"prompts", bos}, {"written by", o.Program}}
}

// id is a name if the hub could have it.
func id(name string) string {
	if hubID.MatchString(name) {
		return name
	}
	return ""
}

// inCell is a text that stays in its cell of a table.
func inCell(s string) string { return strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ").Replace(s) }
