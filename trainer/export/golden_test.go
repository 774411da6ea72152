package export

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"actfleet/internal/array"
	"actfleet/internal/pickle"
	"actfleet/internal/safetensors"
	"actfleet/trainer/export/npy"
)

// golden is a small folder as another program leaves it. What its function makes of goldenRows stands in
// testdata/golden.json, computed by the program that peer names in testdata/golden.py.
type golden struct {
	name, peer string
	at         string // folder, or file, below which it is read
	cfgName    string
	cfg        string
	weights    string
	list       []array.Array
	target     bool
}

const (
	goldenD, goldenM, goldenN = 4, 6, 3
	goldenCfg                 = `"d_in": 4, "d_sae": 6, "dtype": "float32", "device": "cpu"`
)

// fill is values that 16 bits hold exactly, other ones for every array.
func fill(name string, seed int, shape ...int) array.Array {
	v := make([]float32, array.Elements(shape))
	for i := range v {
		v[i] = float32((i*i*seed+7*i+5*seed)%33-16) / 8
	}
	return array.Of(name, shape, v)
}

// positive is the absolute values of an array over four.
func positive(a array.Array) array.Array {
	v, err := a.Float32s()
	if err != nil {
		panic(err)
	}
	for i := range v {
		v[i] = float32(math.Abs(float64(v[i]))) / 4
	}
	return array.Of(a.Name, a.Shape, v)
}

// half is the values of an array in bfloat16.
func half(a array.Array) array.Array {
	v, err := a.Float32s()
	if err != nil {
		panic(err)
	}
	var raw []byte
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(math.Float32bits(x)>>16))
	}
	out, err := array.View(a.Name, safetensors.BF16, a.Shape, nil, raw)
	if err != nil {
		panic(err)
	}
	return out
}

// The arrays of an autoencoder as SAELens names them, of a transcoder to three values, and with other names.
func four() []array.Array {
	return []array.Array{fill("W_enc", 1, 4, 6), fill("b_enc", 2, 6), fill("W_dec", 3, 6, 4), fill("b_dec", 4, 4)}
}

func across() []array.Array {
	return []array.Array{fill("W_enc", 1, 4, 6), fill("b_enc", 2, 6), fill("W_dec", 3, 6, 3), fill("b_dec", 4, 3)}
}

func linear(enc, dec string) []array.Array {
	return []array.Array{fill(enc+".weight", 1, 6, 4), fill(enc+".bias", 2, 6), fill(dec+".weight", 3, 4, 6), fill(dec+".bias", 4, 4)}
}

func gates() []array.Array {
	return append(four()[:0:0], fill("W_enc", 1, 4, 6), fill("W_dec", 3, 6, 4), fill("b_dec", 4, 4), fill("b_gate", 2, 6), fill("b_mag", 5, 6), positive(fill("r_mag", 6, 6)))
}

func halves() (out []array.Array) {
	for _, a := range four() {
		out = append(out, half(a))
	}
	return out
}

func theta(seed int) array.Array { return positive(fill("threshold", seed, 6)) }

// lens is a folder of SAELens.
func lens(name, cfg string, list ...array.Array) golden {
	return golden{name: name, peer: "saelens", cfgName: saelensCfg, cfg: "{" + goldenCfg + ", " + cfg + "}", weights: saelensWeights, list: list}
}

const six = `"metadata": {"sae_lens_version": "6.54.12"}`

func goldens() []golden {
	across6 := `"d_out": 3, "apply_b_dec_to_input": false, ` + six
	list := []golden{
		lens("before 6: the encoder sees x - b_dec", `"architecture": "standard", "normalize_activations": null`, four()...),
		lens("before 6: oldest", `"hook_point": "blocks.2.hook_resid_pre", "hook_point_layer": 2, "use_ghost_grads": false`, four()...),
		lens("before 6: TopK by its function", `"architecture": "standard", "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 2}, "apply_b_dec_to_input": true`, four()...),
		lens("before 6: factors of 1", `"architecture": "standard", "finetuning_scaling_factor": true, "normalize_activations": false`,
			append(four(), array.Of("scaling_factor", []int{6}, []float32{1, 1, 1, 1, 1, 1}))...),
		lens("gated, x itself", `"architecture": "gated", "apply_b_dec_to_input": false, "activation_fn_str": "relu"`, gates()...),
		lens("gated", `"architecture": "gated", "apply_b_dec_to_input": true, `+six, gates()...),
		lens("jumprelu, x itself", `"architecture": "jumprelu", "apply_b_dec_to_input": false, `+six, append(four(), theta(7))...),
		lens("topk by lengths", `"architecture": "topk", "k": 2, "rescale_acts_by_decoder_norm": true, "apply_b_dec_to_input": true, `+six, four()...),
		lens("16 bits", `"architecture": "standard", "apply_b_dec_to_input": true, `+six, halves()...),
		lens("transcoder", `"architecture": "transcoder", `+across6, across()...),
		lens("jumprelu skip transcoder", `"architecture": "jumprelu_skip_transcoder", `+across6, append(across(), theta(7), fill("W_skip", 8, 3, 4))...),
	}
	batch := func(name, cfg string) golden {
		g := lens(name, `"k": 2.0, "apply_b_dec_to_input": true, "topk_threshold_lr": 0.01, `+six+`, `+cfg, append(four(), array.Of("topk_threshold", nil, []float32{1.5}))...)
		g.peer = "saelens_training"
		return g
	}
	list = append(list,
		batch("a training of BatchTopK", `"architecture": "batchtopk", "rescale_acts_by_decoder_norm": false`),
		batch("a training of BatchTopK by lengths", `"architecture": "batchtopk", "rescale_acts_by_decoder_norm": true`),
		batch("a training of Matryoshka", `"architecture": "matryoshka_batchtopk", "matryoshka_widths": [2, 6], "rescale_acts_by_decoder_norm": true`))
	for i := range list {
		list[i].target = list[i].name == "transcoder" || list[i].name == "jumprelu skip transcoder"
	}
	return append(list, releases()...)
}

// releases are those that SAELens converts.
func releases() []golden {
	small := func(list []array.Array) []array.Array {
		list[0].Name, list[2].Name = "w_enc", "w_dec"
		return append(list, theta(7))
	}
	gemma2 := func(at, cfg string, target bool, list ...array.Array) golden {
		return golden{name: "Gemma Scope 2: " + at, peer: "gemma_3", at: at, cfgName: at + "/config.json",
			cfg: `{"architecture": "jump_relu", "model_name": "gemma-v3-270m-pt", "width": 6, "l0": 60, ` + cfg + `}`, weights: at + "/params.safetensors", list: list, target: target}
	}
	qwen := "SAE-Res-Qwen3-1.7B-Base-W32K-L0_2/layer3.sae.pt"
	return []golden{
		{name: "Gemma Scope", peer: "gemma_2", at: "layer_3/width_16k", weights: "layer_3/width_16k/params.npz", list: append(four(), theta(7))},
		{name: "Gemma Scope, a transcoder", peer: "gemma_2_transcoder", at: "layer_3/width_16k", weights: "layer_3/width_16k/params.npz", list: append(four(), theta(7)), target: true},
		gemma2("resid_post/layer_2", `"type": "sae", "affine_connection": false`, false, small(four())...),
		gemma2("transcoder/layer_2", `"type": "transcoder", "affine_connection": false`, true, small(across())...),
		gemma2("transcoder/layer_3_affine", `"type": "transcoder", "affine_connection": true`, true, append(small(across()), fill(gemmaSkip, 8, 4, 3))...),
		{name: "Llama Scope", peer: "llama_scope", cfgName: "L2/hyperparams.json", weights: "L2/checkpoints/final.safetensors", at: "L2", list: linear("encoder", "decoder"),
			cfg: `{"d_model": 4, "d_sae": 6, "hook_point_in": "blocks.2.hook_resid_post", "hook_point_out": "blocks.2.hook_resid_post", "act_fn": "jumprelu",
			"jump_relu_threshold": 0.0, "norm_activation": "dataset-wise", "dataset_average_activation_norm": {"in": 4, "out": 4}, "use_glu_encoder": false, "top_k": 50}`},
		{name: "Llama Scope R1", peer: "llama_scope_r1_distill", cfgName: "L2R/config.json", weights: "L2R/sae_weights.safetensors", at: "L2R",
			list: append(linear("encoder", "decoder"), fill(openmossLog, 7, 6)),
			cfg:  `{"sae_type": "sae", "d_model": 4, "expansion_factor": 1.5, "hook_point_in": "blocks.2.hook_resid_post", "act_fn": "jumprelu", "norm_activation": "inference"}`},
		{name: "Qwen Scope", peer: "qwen_scope", at: qwen, weights: qwen,
			list: []array.Array{fill("W_enc", 1, 6, 4), fill("b_enc", 2, 6), fill("W_dec", 3, 4, 6), fill("b_dec", 4, 4)}},
		{name: "Goodfire", peer: "goodfire", at: "Llama-3.1-8B-Instruct-SAE-l19.pth", weights: "Llama-3.1-8B-Instruct-SAE-l19.pth", list: linear("encoder_linear", "decoder_linear")},
		{name: "DeepSeek R1", peer: "deepseek_r1", at: "DeepSeek-R1-Distill-Llama-8B-SAE-l19.pt", weights: "DeepSeek-R1-Distill-Llama-8B-SAE-l19.pt", list: linear("encoder", "decoder")},
		{name: "circuit-tracer", peer: "mwhanna_transcoder", at: "layer_3.safetensors", weights: "layer_3.safetensors", target: true,
			list: []array.Array{fill("W_enc", 1, 6, 4), fill("b_enc", 2, 6), fill("W_dec", 3, 6, 4), fill("b_dec", 4, 4)}},
		{name: "sparsify", peer: "sparsify", cfgName: sparsifyCfg, cfg: `{"d_in": 4, "num_latents": 6, "k": 2}`, weights: sparsifyWeights, list: sparsifyFour()},
		{name: "sparsify, a transcoder with a skip", peer: "sparsify", cfgName: sparsifyCfg, weights: sparsifyWeights, target: true, list: append(sparsifyFour(), fill("W_skip", 8, 4, 4)),
			cfg: `{"activation": "topk", "d_in": 4, "num_latents": 6, "k": 2.0, "transcode": true, "skip_connection": true}`},
		{name: "sparsify, an autoencoder with a skip", peer: "sparsify", cfgName: sparsifyCfg, weights: sparsifyWeights, target: true, list: append(sparsifyFour(), fill("W_skip", 8, 4, 4)),
			cfg: `{"d_in": 4, "num_latents": 6, "k": 2, "transcode": false, "skip_connection": true}`},
		{name: "AutoEncoderNew", peer: "dictionary_learning", cfgName: dictionaryCfg, cfg: `{"trainer": {"dict_class": "AutoEncoderNew", "activation_dim": 4, "dict_size": 6}, "buffer": {}}`,
			weights: dictionaryWeights, list: linear("encoder", "decoder")},
	}
}

func sparsifyFour() []array.Array {
	return []array.Array{fill("encoder.weight", 1, 6, 4), fill("encoder.bias", 2, 6), fill("W_dec", 3, 6, 4), fill("b_dec", 4, 4)}
}

// put writes the folder below root.
func (g golden) put(t *testing.T, root string) {
	t.Helper()
	path := filepath.Join(root, g.weights)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	var err error
	switch filepath.Ext(path) {
	case ".safetensors":
		err = saveTensors(path, g.list)
	case ".npz":
		err = npy.Save(path, g.list)
	default:
		err = pickle.Save(path, pickle.Of(g.list))
	}
	if err == nil && g.cfg != "" {
		err = os.WriteFile(filepath.Join(root, g.cfgName), []byte(g.cfg), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// goldenRows are the vectors, [goldenN, goldenD].
func goldenRows(t *testing.T) []float32 { return floats(t, fill("x", 9, goldenN, goldenD)) }

// What other programs left is the function that they compute.
func TestGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][]float32
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for _, g := range goldens() {
		t.Run(g.name, func(t *testing.T) {
			root := t.TempDir()
			g.put(t, root)
			at := filepath.Join(root, g.at)
			f, err := Detect(at)
			if err != nil {
				t.Fatal(err)
			}
			m, err := Read(at, f, g.target)
			if err != nil {
				t.Fatal(err)
			}
			if (m.Out > 0) != g.target {
				t.Errorf("read as a transcoder: %v", m.Out > 0)
			}
			if _, got := dense(t, m, goldenRows(t), goldenN); apart(got, want[g.name]) > 2e-5 {
				t.Errorf("got  %v\nwant %v", got, want[g.name])
			}
		})
	}
}

// The facts of testdata/golden.json are what the programs compute today. It needs ACTFLEET_PYTHON; with
// ACTFLEET_GOLDEN=write it makes the file.
func TestGoldenPeers(t *testing.T) {
	python := os.Getenv(pythonEnv)
	if python == "" {
		t.Skip(pythonEnv + " is not set")
	}
	root := t.TempDir()
	var args []map[string]any
	for i, g := range goldens() {
		dir := filepath.Join(root, string(rune('a'+i/26))+string(rune('a'+i%26)))
		g.put(t, dir)
		args = append(args, map[string]any{"name": g.name, "peer": g.peer, "root": dir, "at": g.at, "x": goldenRows(t), "d": goldenD})
	}
	text, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	job := filepath.Join(root, "job.json")
	if err := os.WriteFile(job, text, 0o644); err != nil {
		t.Fatal(err)
	}
	call := []string{"testdata/golden.py", job, "testdata/golden.json"}
	if os.Getenv("ACTFLEET_GOLDEN") == "write" {
		call = append(call, "--write")
	}
	out, err := exec.Command(python, call...).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == notThere {
		t.Skipf("%s", out)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
