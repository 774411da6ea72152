package export

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cardOf is the model card and another file of an export.
func cardOf(t *testing.T, f Format, kind string, o Origin, other string) (card, text string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	if err := Write(dir, f, randomModel(1, 4, 8, kind), o); err != nil {
		t.Fatal(err)
	}
	a, err1 := os.ReadFile(filepath.Join(dir, cardFile))
	b, err2 := os.ReadFile(filepath.Join(dir, other))
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return string(a), string(b)
}

// Every export is a folder for the hub: its card says what is known and nothing else.
func TestModelCards(t *testing.T) {
	card, _ := cardOf(t, SAELens, "topk", origin, saelensCfg)
	for _, want := range []string{"---\nlibrary_name: saelens\nbase_model: org/toy\ndatasets:\n- org/texts\ntags:\n- sparse-autoencoder\n", "| latents | 8 |\n| k | 2 |",
		"| hook of TransformerLens | blocks.3.hook_mlp_out |", "| context | 128 tokens at most |", `SAE.load_from_disk(".")`} {
		if !strings.Contains(card, want) {
			t.Errorf("the card lacks %q:\n%s", want, card)
		}
	}
	card, _ = cardOf(t, NPZ, "relu", Origin{Model: "a: [b]\n| c", Data: "/home/me/texts.jsonl"}, npzFile)
	if head := strings.SplitN(card, "---", 3)[1]; head != "\ntags:\n- sparse-autoencoder\n- relu\n- mechanistic-interpretability\n" {
		t.Errorf("the head is %q", head)
	}
	if !strings.Contains(card, `| model | a: [b] \| c |`) || strings.Contains(card, "| k |") || strings.Contains(card, "context") {
		t.Errorf("the card is\n%s", card)
	}
}

func TestCircuitTracerSet(t *testing.T) {
	_, cfg := cardOf(t, CircuitTracer, "transcoder_relu", origin, tracerCfg)
	want := "model_name: \"org/toy\"\nmodel_kind: \"transcoder_set\"\nfeature_input_hook: \"hook_mlp_out\"\nfeature_output_hook: \"hook_resid_post\"\n"
	if cfg != want {
		t.Errorf("got %q, want %q", cfg, want)
	}
}
