// Package arch knows the model families, one file each: what their config.json means, what their
// weights are called, and how one block computes. It knows nothing of adapters, files or batches.
//
// Vocabulary: a Network is one loaded checkpoint; a block is one transformer layer; a site is a place
// inside a block where activations are read (package tap).
//
// Guarantees: a config.json whose mathematics is not implemented is refused by naming the key
// (ErrUnsupported), weights that contradict it are refused by naming the weight (layer.ErrMismatch);
// activations follow Hugging Face's eager attention in fp32.
//
// Non-guarantees: no training, no generation, no cache; positions always start at 0.
package arch
