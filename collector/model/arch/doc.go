// Package arch knows the model families: what their config.json means, what their
// weights are called, and how one block computes. It knows nothing of adapters, files or batches.
//
// Vocabulary: a Network is one loaded checkpoint; a block is one transformer layer; a site is a place
// in it where activations are read (package tap); a design is the table of a network's parts (design.go), which
// a family makes of a config.json; the names of its weights are those of its modules (tap.Modules).
//
// Families: phi, phi-msft and mixformer-sequential (Phi as Microsoft wrote it), llama (TinyLlama too),
// mistral, qwen2, qwen3, gpt_neox (Pythia), gpt2, gemma, gemma2, gemma3_text, phi3, olmo2, olmo3, granite, starcoder2,
// stablelm, smollm3, opt, falcon, gptj, bloom, cohere2, glm, glm4, arcee, and with experts mixtral, qwen2_moe,
// qwen3_moe, olmoe, gpt_oss, deepseek_v2, deepseek_v3. What a family's config means stands in a file of its own, or
// of a few related ones; all are loaded (network.go, loader.go) and computed (block.go, attention.go, latent.go,
// mlp.go, experts.go) by the same code.
//
// Guarantees: a config.json whose mathematics is not implemented, or that has a key its family does not
// know, is an error that names the key (ErrUnsupported); weights that contradict it are an error that names the weight
// (layer.ErrMismatch); activations follow Hugging Face's eager attention in fp32.
//
// Non-guarantees: no training, no generation. Which positions come before those of a pass, and what attention
// remembers of them (layer.Past), is the caller's business.
package arch
