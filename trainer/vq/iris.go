package vq

import (
	"actfleet/internal/torch"
	"actfleet/trainer/optim"
	"actfleet/trainer/ranks"
	"actfleet/trainer/state"
)

// IRIS is an encoder, one codebook for all ids of a row, and a decoder.
const IRIS Arch = "iris"

type iris struct{}

func (iris) defaults() Defaults { return Defaults{Ids: usualIds, LR: netRate, DeadShare: movedShare} }

func (iris) codes(c Config) (int, error) { return c.Codes, nil }

func (iris) width(c Config) int { return c.Width }

func (iris) entries(codes int) int { return codes }

func (iris) quantiser(c Config) quantiser { return newCodebook(c.Codes, c.Width) }

func (iris) training(c Config, v *VQVAE) (quantiserTraining, error) {
	if err := c.checkAverages(); err != nil {
		return nil, err
	}
	s := newCodebookStats(v.quant.(*codebook)) // that of quantiser
	return &irisTraining{stats: s, opt: newCodebookOptimizer(s), cfg: c, dims: v.dims, latent: v.latent()}, nil
}

// irisTraining moves the codebook by the gradient of its loss, and holds the encoder to the codes.
type irisTraining struct {
	stats  *codebookStats
	opt    *codebookOptimizer
	cfg    Config
	dims   Dims
	latent int // values between encoder and decoder, T·w
}

func (t *irisTraining) startBatch(step uint64, from int) { t.stats.startBatch(t.cfg.Seed, step, from) }

func (t *irisTraining) init(u []float32, m int) error {
	return t.stats.init(u, m, t.cfg.Batch*t.dims.Ids, t.cfg)
}

func (t *irisTraining) add(u []float32, ids []int32) error { return t.stats.add(u, ids) }

// loss adds the commitment loss, β·Σ‖u − sg(q)‖² over the values of a row.
func (t *irisTraining) loss(s *torch.Scope, recon, u, q *torch.Tensor) *torch.Tensor {
	return s.Add(recon, s.MulScalar(s.Sum(s.Square(s.Minus(u, q))), t.cfg.Beta/float64(t.latent)))
}

func (t *irisTraining) offer(b *ranks.Bucket) { t.stats.offer(b) }

func (t *irisTraining) params() []optim.Param {
	t.opt.gradient(1 / float64(t.latent))
	return []optim.Param{t.opt.param}
}

// metrics adds commit, which is the value of commitment and codebook loss alike.
func (t *irisTraining) metrics(m map[string]float64) {
	m["commit"] = t.stats.meanError()
	m["loss"] += (1 + t.cfg.Beta) * m["commit"]
}

// step also revives dead codes.
func (t *irisTraining) step(lr, scale float64, r ranks.Ranks, m map[string]float64) error {
	t.opt.Step(lr, scale)
	t.stats.average(t.cfg.Decay)
	revived, err := t.stats.revive(t.cfg.DeadShare, r)
	if err != nil {
		return err
	}
	m["revived"] = float64(len(revived))
	t.opt.forget(revived)
	return nil
}

func (t *irisTraining) save(s *state.Set) {
	t.stats.save(s, "book.")
	t.opt.save(s, "codebook_")
}
