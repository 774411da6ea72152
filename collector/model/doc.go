// Package model loads a Hugging Face checkpoint and runs its forward pass with taps.
//
// Vocabulary: a batch is a few prompts as token ids, one after the other on a CPU with AVX-512, else padded on the right to
// the longest; a View is one tap's output for a batch, rows of fp32 in host memory; a Prefix is the beginning that many prompts
// share, computed once: a Forward after it computes only what follows; a Begun is a batch taken through the
// first blocks once, from which several Forwards go on; a Cache what is remembered of a batch, so that its prompts go on a token
// at a time; a Generation a batch of prompts to be continued, greedily or by sampling; Kept asks a model on a GPU for the rows that will be
// stored, instead of whole taps.
//
// Guarantees: activations equal Hugging Face's (eager attention, fp32, one prompt at a time, no padding)
// to 1e-4 of each tensor's RMS, whatever the batch mates; the pass stops after the last tapped block
// unless logits are asked for; the same batch gives the same bits again. Greedy continuations of the fixtures of all families are
// those of transformers' generate, token for token.
//
// Non-guarantees: a prompt's bits may differ in the last places between batches of other shapes
// (matrix kernels depend on shape), and with and without a Prefix, so whoever needs equal bytes must cut
// equal batches and equal prefixes.
//
// Example:
//
//	m, err := model.Load("examples/tiny-phi")
//	taps := tap.Cross([]tap.Site{tap.FC2}, []int{3})
//	_, err = m.Forward(ctx, model.Request{IDs: ids, Taps: taps, Emit: func(i int, v model.View) error {
//		… v.Row(0, 5) is fc2_3 of prompt 0 at position 5 …
//		return nil
//	}})
package model
