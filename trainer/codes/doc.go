// Package codes applies trained coders to runs: it encodes every row, writes the codes back into the run as shards, and
// decodes them from there.
//
// # Vocabulary
//
// A code is a coder's output for a vector: the active latents of an autoencoder with their values, the ids of a
// tokenizer, the score of a probe. Code shards are in RUN/codes/<id> and are keyed by the same (row, pos) as the
// activations; the id holds the hash of the weights, so that other weights never write under the same name.
//
// # Guarantees
//
// A unit's codes appear complete or not at all, and existing codes are left unchanged.
//
// # Not guaranteed
//
// Codes of an autoencoder list the k largest latents of a row; rows with more active latents are truncated and counted.
package codes
