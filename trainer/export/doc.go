// Package export writes trained autoencoders in the layouts that other programs read, and reads
// those layouts and others back. Arrays, archives, numpy's files and pickles are packages of their own below it, which
// need no libtorch.
//
// Vocabulary. A model is a function of x ∈ ℝ^d with M latents; as this project keeps it,
//
//	a = W_e (x − b_d) + b_e      f = act(a)      x̂ = W_dᵀ f + b_d
//
// with every scale folded in. A layout is how a program stores that function:
//
//	saelens              cfg.json, sae_weights.safetensors: W_enc [d,M] b_enc W_dec [M,d] b_dec (threshold [M])
//	sparsify             cfg.json, sae.safetensors: encoder.weight [M,d] encoder.bias W_dec [M,d] b_dec; TopK alone
//	dictionary_learning  config.json, trainer_0/ae.pt: encoder.weight [M,d] encoder.bias decoder.weight [d,M]
//	                     b_dec k threshold for TopK and BatchTopK; bias for b_dec and neither for ReLU;
//	                     W_enc [d,M] b_enc W_dec [M,d] b_dec threshold [M] as in npz for JumpReLU
//	openai               autoencoder.pt: encoder.weight [M,d] latent_bias decoder.weight [d,M] pre_bias,
//	                     counters of zero, activation and its state. Its loader switches a normalisation of
//	                     every row on for TopK: build it with normalize=False and load the arrays
//	npz                  params.npz: W_enc [d,M] b_enc W_dec [M,d] b_dec, and k or threshold [M]; of a gated model
//	                     b_gate for b_enc, r_mag and b_mag [M]; d_out and W_skip [out,d] of transcoders. Here
//	                     a = x·W_enc + b_enc, that is b_enc − W_e b_d of the others
//	circuit_tracer       config.yaml, layer_N.safetensors: W_enc [M,d] b_enc W_dec [M,d] b_dec activation_function.threshold
//	                     W_skip; transcoders alone
//
// and those that are read alone: gemma_scope_2, llama_scope, and pt, which is one file of Goodfire, DeepSeek R1 or Qwen
// Scope. A model with a threshold is f = a·1[a > θ]; those layouts call it jumprelu. Statistics of latents that a
// layout may carry are left out or zero: they are no part of the function.
//
// Guaranteed: .pt files hold a dictionary of arrays, numbers and texts that torch.load reads with
// weights_only=True; reading one interprets a fixed list of instructions and executes nothing; a
// folder appears complete or not at all; a model that a layout cannot hold is refused (ErrFormat), and so is, by its
// name, a key or an array of a foreign file that is not understood, and a weight that is not finite.
// Not guaranteed: bits where b_d is folded into b_enc, which rounds once: a latent within
// rounding of its threshold may then fall on the other side.
package export
