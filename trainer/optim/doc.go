// Package optim turns gradients into steps: optimizers, weight averaging, gradient norm clipping, the
// learning rate schedule.
//
// Equations, for every parameter θ with gradient g, rate α and step t:
//
//	adam         m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², θ ← θ − α·m̂/(√v̂ + ε), m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ)
//	             (Kingma and Ba 2015, algorithm 1)
//	adamw        θ ← (1−αλ)θ before it (Loshchilov and Hutter 2019)
//	sparse_adam  adam for the rows that have a gradient alone; ε stands beside √v (torch)
//	sgd          m ← β₁m + g + λθ, θ ← θ − αm
//	adafactor    v of a matrix is R Cᵀ/mean(R), R and C moving averages of the mean g² of rows and columns with
//	             β₂ = 1 − t^−.8; u = g/√v, u ← u/max(1, RMS u), θ ← (1−αλ)θ − max(10⁻³, RMS θ)·min(α, 1/√t)·u
//	             (Shazeer and Stern 2018, as torch has it)
//	signsgd      z ← z − α·sign g, x ← (1−c)x + cz, θ = (1−β₁)z + β₁x, c = α²/Σα²; x is the result, and no
//	             schedule is needed (Defazio et al. 2024, arXiv:2405.15682, around Bernstein et al. 2018)
//
// Guaranteed: results do not depend on the number of cores; all that a next step
// depends on is in the State. Not guaranteed: bits equal to other libraries'.
package optim
