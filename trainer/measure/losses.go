package measure

import (
	"math"
	"math/rand/v2"
	"slices"

	"actfleet/trainer/parallel"
)

// losses sums over positions. The model is run as it is (clean), with x̂ for x (coder) and with 0 for x (zero).
type losses struct {
	tokens, positions           float64
	clean, coder, zero          float64 // cross entropy of the next token, in nats
	divergedCoder, divergedZero float64 // KL from the clean prediction
}

// join adds the sums of b.
func (l *losses) join(b losses) {
	l.tokens, l.positions = l.tokens+b.tokens, l.positions+b.positions
	l.clean, l.coder, l.zero = l.clean+b.clean, l.coder+b.coder, l.zero+b.zero
	l.divergedCoder, l.divergedZero = l.divergedCoder+b.divergedCoder, l.divergedZero+b.divergedZero
}

func total(all []losses) (sum losses) {
	for _, l := range all {
		sum.join(l)
	}
	return sum
}

// position is one token of a prompt with the state of the last block there in the three runs.
type position struct {
	prompt *patchedPrompt
	next   int32 // the token that follows, −1 at the end
	states [3][]float32
}

// lose adds the losses of positions to the last column of their prompts.
func lose(h PatchedModel, part []position) error {
	var logits [3][]float32
	for run := range logits {
		var states []float32
		for _, p := range part {
			states = append(states, p.states[run]...)
		}
		var err error
		if logits[run], err = h.Readout(states, len(part)); err != nil {
			return err
		}
	}
	v := len(logits[0]) / len(part)
	one := make([]losses, len(part))
	parallel.For(len(part), 1, func(lo, hi int) {
		weights := make([]float64, v)
		for i := lo; i < hi; i++ {
			one[i] = lossesOf(logits[0][i*v:(i+1)*v], logits[1][i*v:(i+1)*v], logits[2][i*v:(i+1)*v], part[i].next, weights)
		}
	})
	for i, p := range part {
		p.prompt.lost[len(p.prompt.lost)-1].join(one[i])
	}
	return nil
}

// lossesOf is one position; weights is memory for as many values as there are logits. With unnormalised probabilities
// e = exp(a − max a) and log Z = max a + log Σe, the divergence of logits b is Σe(a−b)/Σe − log Z_a + log Z_b.
func lossesOf(clean, coder, zero []float32, next int32, weights []float64) losses {
	most, sum := float64(slices.Max(clean)), 0.0
	for i, v := range clean {
		weights[i] = math.Exp(float64(v) - most)
		sum += weights[i]
	}
	logClean, logCoder, logZero := most+math.Log(sum), logSumExp(coder), logSumExp(zero)
	var toCoder, toZero float64
	for i, w := range weights {
		a := float64(clean[i])
		toCoder += w * (a - float64(coder[i]))
		toZero += w * (a - float64(zero[i]))
	}
	l := losses{positions: 1, divergedCoder: toCoder/sum - logClean + logCoder, divergedZero: toZero/sum - logClean + logZero}
	if next >= 0 {
		l.tokens = 1
		l.clean, l.coder, l.zero = logClean-float64(clean[next]), logCoder-float64(coder[next]), logZero-float64(zero[next])
	}
	return l
}

func logSumExp(logits []float32) float64 {
	most, sum := float64(slices.Max(logits)), 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - most)
	}
	return most + math.Log(sum)
}

// lossRecovered is NaN where zeros predict no worse than the model itself.
func (l losses) lossRecovered() float64 {
	if !(l.zero > l.clean) {
		return math.NaN()
	}
	return (l.zero - l.coder) / (l.zero - l.clean)
}

func (l losses) klScore() float64 { return 1 - l.divergedCoder/l.divergedZero }

// metrics are the means, and notes on the shares.
func (l losses) metrics() (out map[string]float64, notes map[string]string) {
	out, notes = map[string]float64{}, map[string]string{}
	put := func(name string, v float64, why string) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			notes[name] = why
			return
		}
		out[name] = v
	}
	const noNext = "no prompt has a token after one that the coder reads"
	put("ce_clean", l.clean/l.tokens, noNext)
	put("ce_coder", l.coder/l.tokens, noNext)
	put("ce_zero", l.zero/l.tokens, noNext)
	const nothing = "zeros in place of the vectors cost these prompts nothing: there is nothing to recover"
	put("loss_recovered", l.lossRecovered(), nothing)
	put("kl_coder", l.divergedCoder/l.positions, "no position was measured")
	put("kl_zero", l.divergedZero/l.positions, "no position was measured")
	put("kl_score", l.klScore(), "zeros in place of the vectors do not change the prediction")
	if l.coder < l.clean {
		notes["loss_recovered"] = "with the coder in it the model predicts these prompts better than by itself: " +
			"go by kl_score, which counts every difference"
	}
	return out, notes
}

const (
	resamples = 1000
	quantile  = 0.025 // below and above a 95 % interval
)

// shares are loss_recovered and kl_score over prompts, each with the bounds NAME_low and NAME_high between which 95 % of
// the values lie when the prompts are drawn anew with replacement (percentile bootstrap, always with the same seed). A
// prompt's positions are drawn together: they are not independent.
func shares(prompts []losses) map[string]float64 {
	out := map[string]float64{}
	r := rand.New(rand.NewPCG(resamples, uint64(len(prompts))))
	var recovered, score []float64
	for range resamples {
		var sum losses
		for range prompts {
			sum.join(prompts[r.IntN(len(prompts))])
		}
		recovered, score = append(recovered, sum.lossRecovered()), append(score, sum.klScore())
	}
	whole := total(prompts)
	putShare(out, "loss_recovered", whole.lossRecovered(), recovered, len(prompts))
	putShare(out, "kl_score", whole.klScore(), score, len(prompts))
	return out
}

// putShare leaves out what is not defined, and the interval of a single prompt or where a resample has no value.
func putShare(out map[string]float64, name string, v float64, resampled []float64, prompts int) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return
	}
	out[name] = v
	slices.Sort(resampled) // NaN comes first
	if prompts < 2 || math.IsNaN(resampled[0]) || math.IsInf(resampled[0], 0) {
		return
	}
	at := int(quantile * resamples)
	out[name+"_low"], out[name+"_high"] = resampled[at], resampled[len(resampled)-1-at]
}
