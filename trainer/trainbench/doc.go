// Package trainbench measures the trainer beside physical limits, in one run: the stream beside adding
// up the same bytes, a step of an autoencoder beside the matrix product that no step can do without.
//
// Both sides take turns, and the median of the rounds' ratios counts.
package trainbench
