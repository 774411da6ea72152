// Package trainbench compares the trainer with hardware limits, in one run: the stream with adding up the same
// bytes, a step of an autoencoder with its encoder's matrix product, the lower bound for any step.
//
// Both sides alternate, and the result is the median of the rounds' ratios.
package trainbench
