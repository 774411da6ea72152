// Package optim turns gradients into steps: Adam, the global norm, the schedule of
// the learning rate.
//
// Adam (Kingma and Ba 2015, algorithm 1), for every parameter with gradient g:
//
//	m ← β₁m + (1−β₁)g     v ← β₂v + (1−β₂)g²
//	θ ← θ − lr · (m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + ε)
//
// Guaranteed: results do not depend on the number of cores; moments and step count
// are in the State.
// Not guaranteed: bits equal to other libraries'.
package optim
