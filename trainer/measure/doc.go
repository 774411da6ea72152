// Package measure evaluates trained coders on runs: reconstruction, sparsity, what the top-activating rows of a latent
// have in common, the rate and distortion of coders, and the model's loss recovered with reconstructions.
//
// # Vocabulary
//
// A meter measures a coder on rows; a gallery keeps the rows on which each latent is most active; a patched model runs
// a prompt with reconstructions substituted for its own vectors; the rate of a coder is the bits of a row's code, its
// distortion is FVU.
//
// # Guarantees
//
// A coder is measured on the rows that its training held out, the same for every seed; on runs it never saw, on all rows.
//
// # Not guaranteed
//
// A number that the data do not define is left out.
package measure
