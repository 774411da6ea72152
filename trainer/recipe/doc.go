// Package recipe is what a training is to do: the keys a user types, their defaults, checks and help, sweeps over them,
// and what they mean to a learner.
//
// # Vocabulary
//
// A recipe is everything that decides what a training gives, apart from the data: which rows are read and how they are
// mixed (Data), how the loop goes (Loop), and what is learned (SAE, VQ or Probe, as Kind says). A setting is "key=value"
// as on the command line. A recipe is resolved when what it leaves to the data has been decided. A sweep file describes
// many recipes.
//
// # Guarantees
//
// All problems of a file and of settings are reported at once, by key; a number is bounded before anything is sized by
// it; the recipe in a card gives the same training again. Keys that have been renamed are still read.
//
// # Not guaranteed
//
// That a recipe suits the data: what is too large for them is refused when the data are open.
package recipe
