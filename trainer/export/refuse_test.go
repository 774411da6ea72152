package export

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/internal/array"
	"actfleet/internal/pickle"
)

// other is a golden folder with other settings.
func other(of golden, cfg string) golden { of.cfg = cfg; return of }

// with is a golden folder with more arrays.
func with(of golden, more ...array.Array) golden {
	of.list = append(of.list[:len(of.list):len(of.list)], more...)
	return of
}

func find1(t *testing.T, name string) golden {
	t.Helper()
	for _, g := range goldens() {
		if g.name == name {
			return g
		}
	}
	t.Fatal("no golden folder", name)
	return golden{}
}

// What is not understood, or what no weights hold, is refused by its name.
func TestForeignFilesAreRefusedByName(t *testing.T) {
	sl := func(cfg string, more ...array.Array) golden { return lens("", cfg, append(four(), more...)...) }
	gemma, gemmaT, llama := find1(t, "Gemma Scope 2: resid_post/layer_2"), find1(t, "Gemma Scope 2: transcoder/layer_3_affine"), find1(t, "Llama Scope")
	qwen, good, tracer, npz := find1(t, "Qwen Scope"), find1(t, "Goodfire"), find1(t, "circuit-tracer"), find1(t, "Gemma Scope")
	sp, dl := find1(t, "sparsify"), find1(t, "AutoEncoderNew")
	odd := qwen
	odd.at, odd.weights = "W32K/layer3.sae.pt", "W32K/layer3.sae.pt"
	stray := good
	stray.list = qwen.list
	plain := `"architecture": "standard"`
	for says, g := range map[string]golden{
		"the keys encoder_gain":                          sl(plain + `, "encoder_gain": 2.5`),
		"the arrays b_pre, more":                         sl(plain, fill("b_pre", 1, 4), fill("more", 1, 1)),
		`architecture "abstopk" is not read`:             sl(`"architecture": "abstopk", "k": 2`),
		`architecture "temporal" is not read`:            lens("", `"architecture": "temporal", "n_heads": 4`, fill("W_dec", 3, 6, 4), fill("b_dec", 4, 4)),
		`no array "r_mag"`:                               with(npz, fill("b_gate", 1, 6)),
		"architecture: 7 is not a text":                  sl(`"architecture": 7`),
		"k is 6.5":                                       sl(`"architecture": "topk", "k": 6.5`),
		`k: "six" is not a number`:                       sl(`"architecture": "topk", "k": "six"`),
		"k is 0 of 6 latents":                            sl(`"architecture": "topk"`),
		"k is 7 of 6 latents":                            sl(`"architecture": "topk", "k": 7.0`),
		"k is 3 and in activation_fn_kwargs 2":           sl(`"architecture": "topk", "k": 3, "activation_fn_kwargs": {"k": 2}`),
		"signed TopK":                                    sl(`"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 2, "signed": true}`),
		"the activation function \"tanh-relu\"":          sl(plain + `, "activation_fn_str": "tanh-relu"`),
		"with the activation function \"topk\"":          sl(plain + `, "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 2}, ` + six),
		`normalize_activations is "layer_norm"`:          sl(plain + `, "normalize_activations": "layer_norm"`),
		`normalize_activations is [1]`:                   sl(plain + `, "normalize_activations": [1]`),
		"is in no file here: put":                        sl(plain + `, "normalize_activations": true`),
		`reshape_activations "heads"`:                    sl(plain + `, "reshape_activations": "heads"`),
		"rescale_acts_by_decoder_norm is not known":      sl(plain + `, "rescale_acts_by_decoder_norm": true`),
		"finetuning_scaling_factor does not say":         sl(plain, fill("scaling_factor", 3, 6)),
		"d_sae is 7, the weights have 6":                 lens("", plain+`, "d_sae": 7`, four()...),
		`batchtopk without rescale_acts_by_decoder_norm`: sl(`"architecture": "batchtopk", "k": 2`, array.Of("topk_threshold", nil, []float32{1})),
		`no array "topk_threshold"`:                      sl(`"architecture": "batchtopk", "k": 2`),
		"the arrays threshold":                           sl(plain, theta(7)),
		`"threshold" has the shape [5], not 6 values`:    sl(`"architecture": "jumprelu"`, fill("threshold", 1, 5)),
		"apply_b_dec_to_input true":                      lens("", `"architecture": "transcoder", "apply_b_dec_to_input": true`, across()...),
		"it encodes vectors of 4 and decodes vectors of": lens("", plain, across()...),
		"cfg.json is not one JSON object":                other(sl(plain), "[1]"),
		"cfg.json goes on behind":                        other(sl(plain), "{} {}"),
		`activation "groupmax"`:                          other(sp, `{"activation": "groupmax", "d_in": 4, "k": 2}`),
		"signed true is not read":                        other(sp, `{"signed": true, "d_in": 4, "k": 2}`),
		"the keys gain":                                  other(sp, `{"gain": 1, "d_in": 4, "k": 2}`),
		"the arrays post_bias":                           with(sp, fill("post_bias", 1, 4)),
		"with --target the same as --column":             other(sp, `{"skip_connection": true, "d_in": 4, "k": 2}`),
		"the keys temperature":                           other(dl, `{"trainer": {"dict_class": "AutoEncoderNew", "temperature": 2}}`),
		`dict_class "CrossCoder" is not read`:            other(dl, `{"trainer": {"dict_class": "CrossCoder"}}`),
		"the arrays extra":                               with(dl, fill("extra", 1, 4)),
		`type "crosscoder" is not read`:                  other(gemma, `{"type": "crosscoder", "layers": [1, 2]}`),
		`architecture "topk" is not read`:                other(gemma, `{"architecture": "topk"}`),
		"affine_connection is false":                     other(gemmaT, `{"type": "transcoder", "affine_connection": false}`),
		"affine_connection is true":                      other(gemma, `{"type": "transcoder", "affine_connection": true}`),
		"width is 9, the weights have 6":                 other(gemma, `{"type": "sae", "width": 9}`),
		"the keys gate":                                  other(gemma, `{"type": "sae", "gate": 1}`),
		"the arrays log_scale":                           with(npz, fill("log_scale", 1, 1)),
		`norm_activation "token-wise"`:                   other(llama, `{"act_fn": "relu", "norm_activation": "token-wise"}`),
		"use_glu_encoder true":                           other(llama, `{"act_fn": "relu", "use_glu_encoder": true}`),
		`act_fn "sine" is not read`:                      other(llama, `{"act_fn": "sine"}`),
		"vectors times +Inf":                             other(llama, `{"act_fn": "relu", "norm_activation": "dataset-wise"}`),
		"in the name of its repository alone":            odd,
		"a name that a release is known by":              stray,
		"the arrays scale":                               with(good, fill("scale", 1, 1)),
		"the arrays log_thresholds":                      with(tracer, fill("log_thresholds", 1, 6)),
	} {
		t.Run(says, func(t *testing.T) {
			root := t.TempDir()
			g.put(t, root)
			at := filepath.Join(root, g.at)
			f, err := Detect(at)
			if err == nil {
				_, err = Read(at, f, g.target)
			}
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "cannot unmarshal") {
				t.Errorf("got %v, want %q", err, says)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("%q has more than one line", err)
			}
		})
	}
}

// A weight that is not finite is refused by the name of its array, in whatever array and layout it stands.
func TestWeightsThatAreNotFiniteAreRefusedByName(t *testing.T) {
	for _, g := range goldens() {
		for i, a := range g.list {
			v, err := a.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
				spoilt := append([]float32(nil), v...)
				spoilt[len(spoilt)-1] = bad
				one := g
				one.list = append([]array.Array(nil), g.list...)
				one.list[i] = array.Of(a.Name, a.Shape, spoilt)
				root := t.TempDir()
				one.put(t, root)
				f, err := Detect(filepath.Join(root, g.at))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := Read(filepath.Join(root, g.at), f, g.target); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), a.Name) {
					t.Errorf("%s: %v in %s: %v", g.name, bad, a.Name, err)
				}
			}
		}
	}
}

// What folding takes beyond 32 bits is refused as well.
func TestFoldingStaysFinite(t *testing.T) {
	root := t.TempDir()
	g := lens("", `"architecture": "jumprelu"`, append(four(), array.Of("log_threshold", []int{6}, []float32{0, 0, 0, 0, 0, 999}))...)
	g.put(t, root)
	if _, err := Read(root, SAELens, false); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "threshold becomes +Inf at element 5") {
		t.Error(err)
	}
}

// The factor of a training is taken from the file that trainings have it in.
func TestMeanLengthsAreFolded(t *testing.T) {
	root := t.TempDir()
	g := lens("", `"architecture": "jumprelu", "normalize_activations": "expected_average_only_in"`, append(four(), theta(7))...)
	g.put(t, root)
	if err := os.WriteFile(filepath.Join(root, saelensScaler), []byte(`{"scaling_factor": 0.5}`), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := Read(root, SAELens, false)
	if err != nil {
		t.Fatal(err)
	}
	plain := lens("", `"architecture": "jumprelu"`, append(four(), theta(7))...)
	unfolded := t.TempDir()
	plain.put(t, unfolded)
	u, err := Read(unfolded, SAELens, false)
	if err != nil {
		t.Fatal(err)
	}
	x := goldenRows(t)
	halved := make([]float32, len(x))
	for i, v := range x {
		halved[i] = v / 2
	}
	_, got := dense(t, m, x, goldenN)
	_, want := dense(t, u, halved, goldenN)
	for i := range want {
		want[i] *= 2
	}
	if apart(got, want) > 1e-5 {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Several files of a layout, files of layouts that are known and not read, and one file by its name.
func TestWhichFile(t *testing.T) {
	root := t.TempDir()
	tracer := find1(t, "circuit-tracer")
	tracer.put(t, root)
	one := filepath.Join(root, tracer.at)
	if f, err := Detect(one); err != nil || f != CircuitTracer {
		t.Error(f, err)
	}
	tracer.weights = "layer_4.safetensors"
	tracer.put(t, root)
	if _, err := Detect(root); err == nil || !strings.Contains(err.Error(), "name the one to read, such as "+one) {
		t.Error(err)
	}
	if _, err := Read(one, CircuitTracer, true); err != nil {
		t.Error(err)
	}
	clt := t.TempDir()
	tracer.weights = "W_enc_0.safetensors"
	tracer.put(t, clt)
	if _, err := Detect(clt); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "cross-layer transcoders (CLT)") {
		t.Error(err)
	}
	if _, err := Detect(filepath.Join(clt, "W_enc_0.safetensors")); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "cross-layer transcoders (CLT)") {
		t.Error(err)
	}
	layers := t.TempDir()
	tracer.list, tracer.weights = []array.Array{fill("w_enc", 1, 4, 6), fill("w_dec", 1, 6, 2, 4)}, "layer_3.safetensors"
	tracer.put(t, layers)
	if _, err := Read(layers, CircuitTracer, true); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "cross-layer transcoder (CLT)") {
		t.Error(err)
	}
	wide := find1(t, "Gemma Scope 2: transcoder/layer_2")
	wide.list[2] = fill("w_dec", 1, 6, 2, 3)
	wide.put(t, root)
	if _, err := Read(filepath.Join(root, wide.at), GemmaScope2, true); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "cross-layer transcoder (CLT)") {
		t.Error(err)
	}
}

// openai's program normalises rows for every TopK, of which its files say nothing.
func TestOpenAITopKIsReadWhereRowsAreNot(t *testing.T) {
	dir := t.TempDir()
	d := pickle.Of(openaiNames.weights(randomModel(1, 3, 8, "topk")))
	d.Add("activation", "TopK")
	d.Add("activation_state_dict", &pickle.Dict{Keys: []string{"k", "postact_fn"}, Values: []any{2, "ReLU"}})
	if err := pickle.Save(filepath.Join(dir, openaiWeights), d); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir, OpenAI, false); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "normalises every row") {
		t.Error(err)
	}
}
