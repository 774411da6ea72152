package sae

// MultiTopK adds moreShare of the same loss with moreTimes as many latents, which keeps latents
// beyond the first K useful (Gao et al. 2024, arXiv:2406.04093, section 5.3; the numbers are theirs).
const (
	moreTimes = 4
	moreShare = 1. / 8
)

// chooseMore fills the other choice of MultiTopK.
func (l *Learner) chooseMore(pre []float32, n int) {
	if l.Arch == MultiTopK {
		l.work.more.reset(n, min(moreTimes*l.K, l.M))
		l.work.more.choose(pre, l.M)
	}
}

// backwardMore adds its gradients.
func (l *Learner) backwardMore(n int) error {
	if l.Arch != MultiTopK {
		return nil
	}
	w := &l.work
	l.win.moreLoss += l.residualsOf(&w.more, w.ra, n)
	l.backward(&w.more, w.ra, 2*moreShare/l.consts[constVariance])
	return l.felt(w.ra, n, moreShare)
}
