// Package codes applies trained coders to runs: what a coder makes of every row is written back into the run as shards,
// and decoded from there.
//
// # Vocabulary
//
// A code is what a coder makes of a vector: of an autoencoder the active latents with their values, of a tokenizer its
// ids, of a probe a score. Code shards lie in RUN/codes/<id> and are keyed by the same (row, pos) as the activations; the
// id holds the hash of the weights, so that other weights never write under the same name.
//
// # Guarantees
//
// A unit's codes appear complete or not at all, and those that are there are left as they are.
//
// # Not guaranteed
//
// Codes of an autoencoder list the k greatest latents of a row; a row with more is counted, not kept whole.
package codes
