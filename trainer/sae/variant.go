package sae

import (
	"actfleet/internal/torch"
	"actfleet/trainer/optim"
	"actfleet/trainer/ranks"
)

// A variant trains one architecture: it chooses the latents of rows, adds the gradients of its loss, and keeps what it
// alone needs. A Learner calls it in this order:
//
//	params                        once, from New
//	reset of every latent, sync   once, from Init; sync alone from Restored
//	beginBatch                    before the first row of every batch
//	micro → choose, backward      for every micro-batch
//	flush                         once all rows of this rank are there
//	sums                          what is to be summed over the ranks
//	finish                        gradients that need the whole batch
//	tensors                       instead of these five on a device
//	sync, metrics                 after the optimizer's step
//	reset                         of latents that are resampled
//
// base is the part that most share; every architecture has choose, backward and metrics of its own.
type variant interface {
	// params are the arrays trained besides those that every model has.
	params() []optim.Param
	// reset gives latent i the values it has before the first step.
	reset(i int)
	// sync brings the model's thresholds up to date with what is trained in their place.
	sync()
	// average makes thresholds of m out of the averages of what is trained in their place.
	average(m *Model)

	// beginBatch forgets the sums of the last batch and fixes what does not change during the next one.
	beginBatch()
	// micro takes n more rows x [n, Row] of the batch.
	micro(x []float32, n int) error
	// choose fills the codes that gradients go through from pre-activations [n, M].
	choose(pre []float32, n int)
	// backward adds the gradients and sums of n rows, whose codes and residuals are in the learner's work.
	backward(n int) error
	// tensors is the loss of the pass's rows, times their number, and takes in the sums: micro and flush on a device,
	// where autograd takes the place of backward and finish.
	tensors(p *pass) *torch.Tensor
	// flush computes the rows that micro only kept.
	flush() error
	// sums adds to b what the batch has summed besides the learner's own sums.
	sums(b *ranks.Bucket)
	// finish completes the gradients of the batch.
	finish()
	// metrics adds terms of the loss to m["loss"] and their values under their own names, for a batch of n rows.
	metrics(m map[string]float64, n float64)
}

// base is what a variant without arrays or sums of its own needs.
type base struct{ l *Learner }

func (base) params() []optim.Param            { return nil }
func (base) reset(int)                        {}
func (base) sync()                            {}
func (base) average(*Model)                   {}
func (base) beginBatch()                      {}
func (b base) micro(x []float32, n int) error { return b.l.compute(x, n) }
func (base) flush() error                     { return nil }
func (base) sums(*ranks.Bucket)               {}
func (base) finish()                          {}
