// Package recipe is the configuration of a training: the keys a user types, their defaults, checks and help, sweeps
// over them, and what they mean to a learner.
//
// # Vocabulary
//
// A recipe is everything that determines the result of a training, apart from the data: which rows are read and how
// they are mixed (Data), how the loop runs (Loop), and what is learned (SAE, VQ or Probe, as Kind says). A setting is
// "key=value" as on the command line. A recipe is resolved when what it leaves to the data has been decided. A sweep
// file describes many recipes.
//
// # Guarantees
//
// All problems of a file and of settings are reported at once, by key; a number is bounded before anything is sized by
// it; the recipe in a card reproduces the training. Keys that have been renamed are still read.
//
// # Not guaranteed
//
// That a recipe suits the data: values too large for them are an error once the data are open.
package recipe
