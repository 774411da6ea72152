// Package coder defines a learned map on vectors as it is stored on disk: the names of a coder's files, their types,
// and how they are read and written.
//
// # Vocabulary
//
// A coder is a learned map on the vectors of one column: an autoencoder (sae), an activation tokenizer (vq) or a set of
// probes. Its folder holds
//
//	cfg.json           the card: everything that made it, with the plan ids of the data, the effective recipe and the seed
//	coder.safetensors  the weights, when the training has ended
//	metrics.jsonl      one event a line: {"step","tokens","seconds","starved","split":"train"|"eval", …}
//	eval.json          what eval measured of it
//	checkpoints/       what a training goes on from
//
// # Guarantees
//
// A file appears complete or not at all; every file is read up to a bound; an event reads back as it was written.
//
// # Not guaranteed
//
// The keys of a card's recipe are the trainer's: this package neither knows nor checks them.
package coder
