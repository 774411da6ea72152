// Package arch knows the model families: what their config.json means, what their
// weights are called, and how one block computes. It knows nothing of adapters, files or batches.
//
// Vocabulary: a Network is one loaded checkpoint; a block is one transformer layer; a site is a place
// inside a block where activations are read (package tap).
//
// Families: phi, phi-msft and mixformer-sequential (Phi as Microsoft wrote it), llama (TinyLlama too),
// mistral, qwen2, qwen3, gpt_neox (Pythia), gpt2, gemma, gemma2, gemma3_text. From llama on, all but NeoX and
// GPT-2 are designs of one decoder (decoder.go); those two are stacks (block.go).
//
// Guarantees: a config.json whose mathematics is not implemented, or that has a key its family does not
// know, is refused by naming the key (ErrUnsupported), weights that contradict it are refused by naming the weight (layer.ErrMismatch);
// activations follow Hugging Face's eager attention in fp32.
//
// Non-guarantees: no training, no generation. Which positions come before those of a pass, and what attention
// remembers of them (layer.Past), is the caller's business.
package arch
