// Package layer holds the pieces transformers are made of, on tensors: linear maps, norms, rotary
// position embeddings and causal attention, and the Source their weights come from.
//
// Vocabulary: B is the number of prompts in a batch, T the padded length, D a width, H the number of
// heads, K the number of key/value heads, C the width of one head. Where prompts lie one after the other
// (Context.Starts), B is 1 and T the number N of all their tokens.
//
// Guarantees: weights are converted once, when they are loaded, to fp32 or, in linear maps, to what the
// Target says; every shape is checked against what the caller expects; a weight nobody asked for is an
// error (Source.Done). States, norms, rotation and attention are fp32 whatever the Target.
//
// Non-guarantees: nothing here knows an architecture's weight names; nothing here frees what Load
// functions return (weights live as long as the process).
package layer
