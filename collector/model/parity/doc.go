// Package parity compares the forward pass of a checkpoint with Hugging Face transformers, tap by tap.
//
// Vocabulary: the peer is transformers in the user's Python environment; the reference is what it computes: every
// tap of every prompt and the logits after its last token. The error of one tap and prompt is the largest
// difference of a value from the reference's, relative to the reference's RMS there, or to the value where that is
// larger: real models have channels some hundred times above the RMS, whose last bits in 32-bit floats are 1e-4 of
// it (in Gemma 3 270M, 700 tokens, Hugging Face itself is up to 1.4e-4 of the RMS away from its own pass in 64
// bits). Where an error is above Tolerance, that pass in 64 bits is the judge: ours must not be further from it than
// Tolerance, or than twice as far as the peer's own pass in 32 bits is at the same tap (Cell.Equal).
//
// The peer runs each prompt alone, unpadded, with eager attention in 32-bit floats and a forward hook at every
// place of every tap (tap.Modules.Places), which must agree; ours runs all prompts in one padded batch, as a
// collection does. A checkpoint of Microsoft's Phi code (phi-msft, mixformer-sequential), for which transformers has
// no class, is loaded into its Phi under Hugging Face's names. Nothing is downloaded and no code of the checkpoint is
// run.
//
// Guarantees: what the peer writes is in a temporary directory that is removed before Run returns; a peer that
// cannot run is a one-line error that says what is missing (ErrPeer).
// Not guaranteed: that both fit into memory; our model and the peer's are loaded at the same time, in fp32.
package parity
