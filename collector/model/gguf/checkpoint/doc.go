// Package checkpoint presents a GGUF file as the Hugging Face checkpoint it was made
// from: a config.json, weights under Hugging Face's names, and a tokenizer.json.
//
// A family is general.architecture: llama (Llama, TinyLlama, Mistral, Mixtral), qwen2, qwen3, qwen2moe, qwen3moe,
// gemma, gemma2, gemma3, phi3, olmo2, olmoe, granite, smollm3, stablelm, starcoder2, cohere2, glm4 and arcee.
//
// Guaranteed: what llama.cpp's converter changed is changed back (the rows of Llama's
// query and key weights, the one added to Gemma's norms, experts and heads stacked in one tensor); a key of the architecture or
// a tensor that is not known here is refused with gguf.ErrUnsupported and its name,
// since it may change what the model computes.
// Not guaranteed: that the weights are those of the original, which the quantised types
// round; what GGUF does not record: the windows of Mistral 0.1, Mixtral and StarCoder 2, and the order of merges
// of equal score in a SentencePiece vocabulary (merges are derived from the scores as
// transformers derives them).
//
// Names: https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/constants.py
package checkpoint
